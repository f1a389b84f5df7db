"""From a picture to hands, in the order in which it happens."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from knuckle.camera import Camera
from knuckle.handmodel import HandModel
from knuckle.predict.config import ASSUMED_FOV, PredictorConfig
from knuckle.predict.crop import Square, square_of_box, square_of_joints, square_of_labels
from knuckle.predict.detect import Detection, box_of_joints, nested, overlap
from knuckle.predict.estimate import CropEstimate, HandEstimate
from knuckle.predict.explain import Explain, FitExplain
from knuckle.predict.network import DetectorGraph, HandDetector, HandGraph, HandNetwork
from knuckle.predict.passes import CropPasses
from knuckle.predict.place import place_hand
from knuckle.sample import Hand
from knuckle.skeleton import BONES
from knuckle.weights import weights_path


class Predictor:
    """Hands in pictures. Thread-safe, and keeps nothing from one picture to the next.

        hands = Predictor()(image)

    A hand network that needs to know beforehand where the hand is and which side's (see `Contract.needs_guide`) has
    the guide look first, and then sees each hand once, through the crop that its contract asks for.

    Args:
        detector: an ONNX file, or what `HandDetector` says; the package's if None.
        hand: an ONNX file that `knuckle export` wrote, or what `HandNetwork` says; the package's if None.
        explain: turns the network's estimate into a `Hand`; fits the open hand if None.
        guide: a hand network that needs no guide, as `hand`; the package's if None. Not used where `hand` needs none.
        threads: for each network that is opened here.
        config: all thresholds.

    Raises:
        FileNotFoundError: a file is missing.
        ContractError: a file is not an ONNX file of knuckle's, or of another kind.
    """

    def __init__(
        self,
        detector: Path | str | HandDetector | None = None,
        hand: Path | str | HandNetwork | None = None,
        explain: Explain | None = None,
        *,
        guide: Path | str | HandNetwork | None = None,
        threads: int = 2,
        config: PredictorConfig | None = None,
    ) -> None:
        self.config = config or PredictorConfig()
        self.model = HandModel.open()
        self.explain: Explain = explain or FitExplain(self.model, self.config)
        detector = weights_path("detector") if detector is None else detector
        self._detector = DetectorGraph(detector, threads) if isinstance(detector, (Path, str)) else detector
        self._hand = self._passes(hand, threads)
        # What looks at a place first, and the network that only then can see it.
        self._first, self._second = self._hand, None
        if self._hand.contract.needs_guide:
            self._first, self._second = self._passes(guide, threads), self._hand
            if self._first.contract.needs_guide:
                raise ValueError(f"guide must say side and presence by itself but got {self._first.contract}")
        parents, children = np.array(BONES).T
        rest = np.asarray(self.model.joints_rest, float)
        self._bone_lengths = np.linalg.norm(rest[children] - rest[parents], axis=1)

    def _passes(self, hand: Path | str | HandNetwork | None, threads: int) -> CropPasses:
        hand = weights_path("hand") if hand is None else hand
        network = HandGraph(hand, threads) if isinstance(hand, (Path, str)) else hand
        return CropPasses(network, self.config)

    def __call__(self, image: np.ndarray, camera: Camera | None = None, max_hands: int = 4) -> list[Hand]:
        """The hands in a picture, best first.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: that took it; one with a field of view of 60 degrees is assumed if None, and then distances are
                estimates.
            max_hands: how many are looked for at most.

        Raises:
            ValueError: the picture is no (H, W, 3) array of uint8, or the camera's size is another.
        """
        camera = checked_camera(image, camera)
        return [self.explain(found, camera)[0] for found in self.find(image, camera, max_hands)]

    def at_joints(
        self,
        image: np.ndarray,
        joints_image: Float[np.ndarray, "21 2"],
        side: Literal["left", "right"],
        camera: Camera | None = None,
    ) -> Hand | None:
        """The hand at a place that is known, through one crop and without detector and guide, as papers evaluate.

        Args:
            image: (H, W, 3) uint8 RGB.
            joints_image: pixels of the true joints, NaN where there is no label; only the crop is made of them.
            side: the true one. The network's own word is taken where it sees hands of either side as they are.
            camera: as in a call.

        Returns:
            The hand; None where too few joints are known to make a crop of.

        Raises:
            ValueError: as in a call.
        """
        camera = checked_camera(image, camera)
        square = square_of_labels(joints_image, self._hand.rule)
        if square is None:
            return None
        (estimate,) = self._hand.run(image, camera, [(square, self._mirrors(side))])
        found = place_hand(self._hand.contract, camera, estimate, self._bone_lengths, 1.0, self._side(estimate, side))
        return self.explain(found, camera)[0]

    def find(self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, max_hands: int) -> list[HandEstimate]:
        """Detector and network: the hands before the fit, best first."""
        places = self.detect(image, max_hands)
        squares = [square_of_box(place.box, place.direction, self._first.rule) for place in places]
        found = self.estimate(image, camera, squares, [place.score for place in places])
        found = self.without_duplicates(found)[:max_hands]
        return found if self._second is None else self._see_again(image, camera, found)

    def detect(self, image: UInt8[np.ndarray, "h w 3"], max_hands: int) -> list[Detection]:
        """Places to look at, some more than hands are wanted."""
        return self._detector(image, self.config.detection_threshold, max_hands + self.config.spare_places)

    def estimate(
        self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, squares: list[Square], scores: list[float]
    ) -> list[HandEstimate]:
        """The network that looks first on given squares, pass by pass; what turns out to be no hand is left out.

        Args:
            image: the picture.
            camera: that took it.
            squares: where to look.
            scores: the detector's, of each.
        """
        c = self.config
        estimates = self._first.run(image, camera, [(square, False) for square in squares])
        pairs = [
            (estimate, score)
            for estimate, score in zip(estimates, scores, strict=True)
            if self._score(estimate, score) > c.worth_a_pass * c.score_threshold
        ]
        estimates = [estimate for estimate, _ in pairs]
        for _ in range(c.passes - 2):
            estimates = self._first.refine(image, camera, estimates)
        if c.passes > 1:
            estimates = self._first.refine_mirrored(image, camera, estimates)
        scored = [
            (estimate, self._score(estimate, score)) for estimate, (_, score) in zip(estimates, pairs, strict=True)
        ]
        return [
            place_hand(self._first.contract, camera, estimate, self._bone_lengths, score)
            for estimate, score in scored
            if score > c.score_threshold
        ]

    def follow(
        self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, hands: list[HandEstimate]
    ) -> list[HandEstimate | None]:
        """One pass for hands whose place is known from the frame before; None for those that are gone."""
        squares = [square_of_joints(hand.uv, rule=self._first.rule) for hand in hands]
        estimates = self._first.run(image, camera, [(square, False) for square in squares])
        present = [estimate.presence > self.config.presence_threshold for estimate in estimates]
        found = [
            place_hand(self._first.contract, camera, estimate, self._bone_lengths, estimate.presence)
            for estimate, there in zip(estimates, present, strict=True)
            if there
        ]
        if self._second is not None:
            # The side that the track has, which one frame may mistake, decides on the mirror.
            sides = [hand.side for hand, there in zip(hands, present, strict=True) if there]
            found = self._see_again(
                image, camera, [replace(new, side=side) for new, side in zip(found, sides, strict=True)]
            )
        seen = iter(found)
        return [next(seen) if there else None for there in present]

    def _see_again(self, image: np.ndarray, camera: Camera, found: list[HandEstimate]) -> list[HandEstimate]:
        """The network that had to wait, once for each hand that the guide has found; score and side are the guide's,
        the side only where the network does not say it.
        """
        network = self._hand
        crops = [(square_of_joints(hand.uv, rule=network.rule), self._mirrors(hand.side)) for hand in found]
        placed = []
        for hand, estimate in zip(found, network.run(image, camera, crops), strict=True):
            side = self._side(estimate, hand.side)
            again = place_hand(network.contract, camera, estimate, self._bone_lengths, hand.score, side)
            said = network.contract.says_side
            placed.append(again if said else replace(again, left_log_odds=hand.left_log_odds))
        return placed

    def _mirrors(self, side: Literal["left", "right"]) -> bool:
        return self._hand.rule.hands == "right" and side == "left"

    def _side(self, estimate: CropEstimate, known: Literal["left", "right"]) -> Literal["left", "right"]:
        if not self._hand.contract.says_side:
            return known
        return "left" if estimate.left_log_odds > 0 else "right"

    def _score(self, estimate: CropEstimate, detected: float) -> float:
        """Detector, presence, and above all how sure the network is of the joints: it makes little of a face or ear."""
        certainty = math.exp(-estimate.relative_uncertainty / self.config.uncertainty_of_no_hand)
        return math.sqrt(detected * estimate.presence) * certainty

    def without_duplicates(self, found: list[HandEstimate]) -> list[HandEstimate]:
        """Best first; of hands at the same place only the best."""
        kept: list[HandEstimate] = []
        for hand in sorted(found, key=lambda f: -f.score):
            if not self.is_among(hand, kept):
                kept.append(hand)
        return kept

    def is_among(self, hand: HandEstimate, others: list[HandEstimate]) -> bool:
        """Whether one of the others is the same hand seen again."""
        c = self.config
        box, boxes = box_of_joints(hand.uv), np.array([box_of_joints(other.uv) for other in others]).reshape(-1, 4)
        return bool(((overlap(box, boxes) > c.same_hand_overlap) | (nested(box, boxes) > c.same_hand_nested)).any())


def checked_camera(image: np.ndarray, camera: Camera | None) -> Camera:
    """The camera given, if it fits the picture, or the assumed one.

    Raises:
        ValueError: the picture is no (H, W, 3) array of uint8, or the camera's size is another.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"image must be (height, width, 3) RGB of uint8 but got {image.shape} of {image.dtype}; convert it"
        )
    size = (image.shape[1], image.shape[0])
    if camera is None:
        return Camera.from_fov(size, ASSUMED_FOV)
    if camera.size is not None and tuple(camera.size) != size:
        raise ValueError(f"camera must be of the picture's size {size} but got {camera.size}; scale it first")
    return replace(camera, size=size)
