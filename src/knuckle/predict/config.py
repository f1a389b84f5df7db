"""The numbers of prediction that were tuned or chosen, each with its reason."""

import math
from dataclasses import dataclass

# Of the longer side of a picture whose camera nobody knows: between a webcam's and a phone's.
ASSUMED_FOV = math.radians(60.0)


@dataclass(frozen=True)
class PredictorConfig:
    """What a `Predictor` and a `VideoPredictor` go by.

    Attributes:
        detection_threshold: the detector's probability of a hand from which a place is looked at. Low, as the hand
            network sorts out what is none.
        spare_places: the detector proposes so many more places than hands are wanted, for the same reason.
        score_threshold: score from which what was seen at a place is called a hand.
        passes: how often the hand network sees a hand, each time through the crop that the pass before suggests; the
            last pass takes the mean over the crop as it is and mirrored.
        worth_a_pass: part of the score threshold below which, after the first pass, there is no second one.
        presence_threshold: in a video, probability of a hand below which a hand that was followed is gone.
        uncertainty_of_no_hand: mean uncertainty, in extents of the hand, that takes a score down to 1 / e: networks
            are unsure of the joints of a face or an ear.
        default_uncertainty: that of a network that says none, in extents of the hand: a coordinate is then expected
            to be some 5 mm off.
        same_hand_overlap, same_hand_nested: two hands whose boxes overlap by more than the first, or of which one lies
            by more than the second within the other, are one seen twice.
        smallest_step, largest_step: how much smaller or larger a crop may be than the one before it: a network that
            is lost would otherwise run away, into a fingertip or out of the picture.
        same_crop_shift, same_crop_zoom, same_crop_turn: crops that differ by less (sides, logarithm of sides, radians)
            show a hand as well as each other.
        fit_uncertainty_share: of the joints' uncertainty, for the fit: their errors go together, as of a hand that is
            displaced, and say less against the pose than so many independent ones would.
        nearest: metres from the camera that no joint comes closer than.
        redetect_every: in a video, frames between two searches for further hands; for lost ones at once.
        side_memory, side_limit: a hand never changes sides, but for a second a fist may look like the other one: log
            odds of the frames add up, with a memory of some fifty of them, and no single one counts for more than this.
    """

    detection_threshold: float = 0.15
    spare_places: int = 3
    score_threshold: float = 0.3
    passes: int = 2
    worth_a_pass: float = 0.7
    presence_threshold: float = 0.3
    uncertainty_of_no_hand: float = 0.25
    default_uncertainty: float = 0.03
    same_hand_overlap: float = 0.5
    same_hand_nested: float = 0.75
    smallest_step: float = 0.85
    largest_step: float = 1.4
    same_crop_shift: float = 0.06
    same_crop_zoom: float = 0.1
    same_crop_turn: float = 0.15
    fit_uncertainty_share: float = 0.4
    nearest: float = 0.02
    redetect_every: int = 10
    side_memory: float = 0.98
    side_limit: float = 4.0

    def __post_init__(self) -> None:
        if self.passes < 1 or self.redetect_every < 1:
            raise ValueError(f"passes and redetect_every must be 1 or more but got {self}")
