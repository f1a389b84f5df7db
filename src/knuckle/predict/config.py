"""Tuned parameters of prediction, each with its reason."""

import math
from dataclasses import dataclass

from knuckle.handmodel.box_contacts import CONTACT_DISTANCE

# Field of view along the longer side where the camera is unknown: between a webcam's and a phone's.
ASSUMED_FOV = math.radians(60.0)


@dataclass(frozen=True)
class PredictorConfig:
    """Parameters of `Predictor` and `VideoPredictor`.

    Attributes:
        detection_threshold: minimum probability of the detector for a detection to be kept. Low, as the hand network
            rejects false detections.
        detector_share: exponent of the detector's probability in a hand's score; presence has the rest of 1. On
            generated frames a third finds as many hands as a half at fewer false ones: the hand network sees more.
        extra_detections: number of detections kept beyond the number of hands wanted, for the same reason.
        score_threshold: minimum score of a hand.
        sure_score: where no hand of a large picture scores so much, it is searched again, part by part: hands far away
            are too small for the detector otherwise.
        large_picture: longer side from which a picture has parts, pixels; those of a smaller one show no more than it.
        passes: number of passes of the hand network, each through the crop suggested by the previous one. The last
            pass is of the mirror image, and is averaged with the one before it.
        early_rejection: a hand whose score after the first pass is below this fraction of score_threshold is dropped.
        presence_threshold: in a video, a tracked hand whose presence probability falls below it is lost.
        uncertainty_scale: mean joint uncertainty, relative to the hand's extent, that reduces the score by a factor
            of e: the joints of a face or an ear are uncertain.
        default_uncertainty: of a network that gives none, relative to the hand's extent; about 5 mm a coordinate.
        same_hand_overlap, same_hand_nested: two detections are one hand if the intersection over union of their boxes
            exceeds the first, or the fraction of the smaller box inside the larger one exceeds the second (less, in
            proportion, for a score below the other's).
        min_rescale, max_rescale: bounds on the size of a crop relative to the previous pass: the crop of a failed
            estimate would otherwise collapse onto a fingertip or grow beyond the picture.
        refined_side: side of a crop around estimated joints, relative to the contract's rule: joints that are known
            need less room than a detection, and the hand gets more pixels. On generated pictures 0.88 to 0.95 are alike
            and better than 1.
        same_crop_shift, same_crop_zoom, same_crop_turn: crops that differ by less (in sides, in the logarithm of the
            side, in radians) are equivalent, and the pass through the second one is skipped.
        first_look: weight of the pass through a detection's crop in that mean; of equivalent crops each has a half.
        fit_uncertainty_share: factor on the uncertainty of the joints in the fit: their errors are correlated, and
            are weaker evidence against a pose than as many independent errors.
        ik_share: the inverse-kinematics network's hand is taken as it is if its joints are closer to the hand
            network's, on average, than this share of their uncertainty: fitting would change it by less than that.
        object_threshold: minimum probability that a hand holds anything, of a network that predicts it.
        contact_distance: metres from the surface of a held object's box up to which a joint touches it.
        min_depth: minimum distance of any joint from the camera, metres.
        search_seconds: in a video, time between two runs of the detector while fewer hands than wanted are seen, and a
            quarter of it while one is out of sight; it runs at once when a look is doubtful.
        doubtful_shift, doubtful_zoom, doubtful_score: a look is doubtful if the hand's centre is farther from where it
            was expected, in sides of the hand, or its size differs by a larger factor, or its score is lower.
        second_look: mean uncertainty of a tracked hand's joints, relative to its extent, above which its mirror image
            is looked at too.
        same_track: largest distance (see VideoPredictor) of a found hand from the track that it goes on with.
        motion_seconds: for so long a hand is expected to move on as before; time constant of its velocity.
        remember_seconds: a hand that comes back so soon is the same hand.
        shape_seconds: of a track, in which its shape is learned.
        side_limit, side_votes: the side is decided by the log-odds of all looks, each clipped to side_limit, their sum
            over seconds clipped to side_votes: a fist may look like the other side for seconds.
    """

    detection_threshold: float = 0.1
    detector_share: float = 1 / 3
    extra_detections: int = 3
    score_threshold: float = 0.45
    sure_score: float = 0.7
    large_picture: int = 384
    passes: int = 3
    early_rejection: float = 0.7
    presence_threshold: float = 0.3
    uncertainty_scale: float = 0.25
    default_uncertainty: float = 0.03
    same_hand_overlap: float = 0.5
    same_hand_nested: float = 0.75
    min_rescale: float = 0.85
    max_rescale: float = 1.4
    refined_side: float = 0.9
    same_crop_shift: float = 0.06
    same_crop_zoom: float = 0.1
    same_crop_turn: float = 0.15
    first_look: float = 0.25
    fit_uncertainty_share: float = 0.4
    ik_share: float = 0.4
    object_threshold: float = 0.5
    contact_distance: float = CONTACT_DISTANCE
    min_depth: float = 0.02
    search_seconds: float = 0.33
    doubtful_shift: float = 0.35
    doubtful_zoom: float = 1.3
    doubtful_score: float = 0.55
    same_track: float = 1.5
    second_look: float = 0.04
    motion_seconds: float = 0.1
    remember_seconds: float = 1.5
    shape_seconds: float = 1.0
    side_limit: float = 4.0
    side_votes: float = 32.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.refined_side <= 10:
            raise ValueError(f"refined_side must be a factor of 0.1 to 10 but got {self.refined_side}")
        if self.passes < 1:
            raise ValueError(f"passes must be 1 or more but got {self.passes}")
