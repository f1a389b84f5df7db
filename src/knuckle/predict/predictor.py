"""From a picture to hands: detection, passes of the hand network, placement, fit."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from knuckle.camera import Camera
from knuckle.fit import FitConstants
from knuckle.handmodel import HandModel
from knuckle.predict.config import ASSUMED_FOV, PredictorConfig
from knuckle.predict.contract import Contract
from knuckle.predict.crop import Square, square_of_box, square_of_joints, square_of_labels
from knuckle.predict.detect import Detection, box_of_joints, nested, overlap
from knuckle.predict.estimate import CropEstimate, HandEstimate
from knuckle.predict.explain import Explain, FitExplain
from knuckle.predict.ik import IKGraph
from knuckle.predict.network import DetectorGraph, Device, HandDetector, HandGraph, HandNetwork
from knuckle.predict.passes import CropPasses, KnownHand
from knuckle.predict.person import checked_shape
from knuckle.predict.place import place_hand
from knuckle.predict.solve import FitToJoints
from knuckle.sample import Hand
from knuckle.skeleton import BONES
from knuckle.weights import weights_path


class Predictor:
    """Finds hands in pictures. Thread-safe and stateless.

        hands = Predictor()(image)

    A hand network that must be told the place and the side of a hand (see `Contract.needs_guide`) is run once for each
    hand that the guide, another hand network, has found, on the crop that its contract asks for.

    Args:
        detector: an ONNX file or a `HandDetector`; the package's if None.
        hand: an ONNX file with a contract, as `knuckle export` writes it, or a `HandNetwork`; the package's if None.
        explain: turns the network's estimate into a `Hand`; fits the open hand if None.
        guide: a hand network that needs no guide itself; the package's if None. Used only where `hand` needs one.
        threads: of the processor, for each network opened here.
        device: where those run: "cpu", or "cuda", "coreml", "directml" where ONNX Runtime was built for it.
        shape: (S,) of the one person whose hands are shown, where it is known: hands have it, and its size.
        config: thresholds and other parameters.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the device is not one that this ONNX Runtime has.
        ContractError: a file is not an ONNX file with a contract, or is of another kind.
    """

    def __init__(
        self,
        detector: Path | str | HandDetector | None = None,
        hand: Path | str | HandNetwork | None = None,
        explain: Explain | None = None,
        *,
        guide: Path | str | HandNetwork | None = None,
        threads: int = 2,
        device: Device = "cpu",
        shape: Float[np.ndarray, " s"] | None = None,
        config: PredictorConfig | None = None,
    ) -> None:
        self.config = config or PredictorConfig()
        self.model = HandModel.open()
        shape = None if shape is None else checked_shape(shape, self.model)
        if explain is None:
            constants = FitConstants.of(self.model)
            solve = FitToJoints(constants, self.config, IKGraph(weights_path("ik"), constants))
            explain = FitExplain(self.model, self.config, shape, solve)
        self.explain: Explain = explain
        detector = weights_path("detector") if detector is None else detector
        self._detector = DetectorGraph(detector, threads, device) if isinstance(detector, (Path, str)) else detector
        self._hand = self._passes(hand, threads, device)
        # The network that is run on detections: the hand network itself, unless it needs a guide.
        self._guide = self._hand
        self._guided = self._hand.contract.needs_guide
        if self._guided:
            self._guide = self._passes(guide, threads, device)
            if self._guide.contract.needs_guide:
                raise ValueError(f"guide must give side and presence by itself but got {self._guide.contract}")
        parents, children = np.array(BONES).T
        rest = np.asarray(self.model.shaped_joints(shape), float)
        self._bone_lengths = np.linalg.norm(rest[children] - rest[parents], axis=1)

    def _passes(self, hand: Path | str | HandNetwork | None, threads: int, device: Device) -> CropPasses:
        hand = weights_path("hand") if hand is None else hand
        network = HandGraph(hand, threads, device) if isinstance(hand, (Path, str)) else hand
        return CropPasses(network, self.config)

    def __call__(self, image: np.ndarray, camera: Camera | None = None, max_hands: int = 4) -> list[Hand]:
        """The hands in a picture, best first.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: that took it; if None a field of view of 60 degrees is assumed, and distances are estimates.
            max_hands: maximum number of hands.

        Raises:
            ValueError: the picture is not an (H, W, 3) array of uint8, or the camera has another size.
        """
        camera = checked_camera(image, camera)
        return [self.explain(found, camera)[0] for found in self.find(image, camera, max_hands)]

    def at_joints(
        self,
        image: np.ndarray,
        joints_image: Float[np.ndarray, "21 2"],
        side: Literal["left", "right"],
        camera: Camera | None = None,
        known_length: float | None = None,
        shape: Float[np.ndarray, " s"] | None = None,
        visibility: Bool[np.ndarray, "21"] | None = None,
    ) -> Hand | None:
        """The hand in the crop around known joints, in one pass without detector and guide, as papers evaluate.

        Args:
            image: (H, W, 3) uint8 RGB.
            joints_image: pixels of the true joints, NaN where there is no label; used for the crop only, unless the
                contract asks for joints in the picture.
            side: the true side, used for mirroring; the result has the network's own where it predicts the side.
            camera: as in `__call__`.
            known_length: true length in metres of the bone that the contract names, for a network that predicts no
                size; an average adult's if None.
            shape: (S,) of the hand, where it is known.
            visibility: (21,) which joints such a network is told of; all if None.

        Returns:
            The hand; None where too few joints are labelled to define a crop.

        Raises:
            ValueError: as in `__call__`; or known_length is given for a network whose coordinates are metric.
        """
        camera = checked_camera(image, camera)
        square = square_of_labels(joints_image, self._hand.rule)
        if square is None:
            return None
        told = joints_image if visibility is None else np.where(visibility[:, None], joints_image, np.nan)
        (estimate,) = self._hand.run(image, camera, [(square, self._mirrors(side))], [KnownHand(side, told)])
        side = self._side(estimate, side)
        found = place_hand(self._hand.contract, camera, estimate, self._bone_lengths, 1.0, side, known_length)
        return self.explain(found, camera, shape=shape)[0]

    @property
    def contract(self) -> Contract:
        """Of the hand network."""
        return self._hand.contract

    def find(self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, max_hands: int) -> list[HandEstimate]:
        """The hands before the fit, best first."""
        detections = self.detect(image, max_hands)
        squares = [square_of_box(d.box, d.direction, self._guide.rule) for d in detections]
        found = self.estimate(image, camera, squares, [d.score for d in detections])
        found = self.without_duplicates(found)[:max_hands]
        return self._run_guided(image, camera, found) if self._guided else found

    def detect(self, image: UInt8[np.ndarray, "h w 3"], max_hands: int) -> list[Detection]:
        """Detections, best first; somewhat more than `max_hands`, as the hand network rejects false ones."""
        return self._detector(image, self.config.detection_threshold, max_hands + self.config.extra_detections)

    def estimate(
        self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, squares: list[Square], scores: list[float]
    ) -> list[HandEstimate]:
        """All passes of the network that is run on detections; squares without a hand are dropped.

        Args:
            image: the picture.
            camera: that took it.
            squares: one for each detection.
            scores: of the detections.
        """
        c = self.config
        estimates = self._guide.run(image, camera, [(square, False) for square in squares])
        pairs = [
            (estimate, score)
            for estimate, score in zip(estimates, scores, strict=True)
            if self._score(estimate, score) > c.early_rejection * c.score_threshold
        ]
        estimates = [estimate for estimate, _ in pairs]
        for _ in range(c.passes - 2):
            estimates = self._guide.refine(image, camera, estimates)
        if c.passes > 1:
            estimates = self._guide.refine_mirrored(image, camera, estimates)
        scored = [
            (estimate, self._score(estimate, score)) for estimate, (_, score) in zip(estimates, pairs, strict=True)
        ]
        return [
            place_hand(self._guide.contract, camera, estimate, self._bone_lengths, score)
            for estimate, score in scored
            if score > c.score_threshold
        ]

    def follow(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        camera: Camera,
        expected: list[Float[np.ndarray, "21 2"]],
        sides: list[Literal["left", "right"]],
    ) -> list[HandEstimate | None]:
        """One pass for hands whose place is known from the previous frames; None for those that are not there.

        Args:
            image: the picture.
            camera: that took it.
            expected: joints of each hand, pixels.
            sides: of each hand, used for mirroring where the network needs it: a single frame may be mistaken.
        """
        squares = [square_of_joints(uv, rule=self._guide.rule) for uv in expected]
        estimates = self._guide.run(image, camera, [(square, False) for square in squares])
        # A second look, at the mirror image, where the first is not sure.
        unsure = [i for i, e in enumerate(estimates) if e.relative_uncertainty > self.config.second_look]
        if unsure:
            better = self._guide.add_mirrored(image, camera, [estimates[i] for i in unsure])
            estimates = [better[unsure.index(i)] if i in unsure else e for i, e in enumerate(estimates)]
        present = [estimate.presence > self.config.presence_threshold for estimate in estimates]
        found = [
            place_hand(
                self._guide.contract, camera, estimate, self._bone_lengths, self._score(estimate, estimate.presence)
            )
            for estimate, there in zip(estimates, present, strict=True)
            if there
        ]
        if self._guided:
            kept = [side for side, there in zip(sides, present, strict=True) if there]
            found = self._run_guided(
                image, camera, [replace(new, side=side) for new, side in zip(found, kept, strict=True)]
            )
        remaining = iter(found)
        return [next(remaining) if there else None for there in present]

    def _run_guided(self, image: np.ndarray, camera: Camera, found: list[HandEstimate]) -> list[HandEstimate]:
        """One pass of a network that needs a guide, for each hand that the guide has found.

        The score is the guide's, and so is the side where the network does not predict it.
        """
        network = self._hand
        crops = [(square_of_joints(hand.uv, rule=network.rule), self._mirrors(hand.side)) for hand in found]
        placed = []
        known = [KnownHand(hand.side, hand.uv) for hand in found]
        for hand, estimate in zip(found, network.run(image, camera, crops, known), strict=True):
            side = self._side(estimate, hand.side)
            new = place_hand(network.contract, camera, estimate, self._bone_lengths, hand.score, side)
            if not network.contract.predicts_side:
                new = replace(new, left_log_odds=hand.left_log_odds)
            placed.append(new)
        return placed

    def _mirrors(self, side: Literal["left", "right"]) -> bool:
        return self._hand.rule.hands == "right" and side == "left"

    def _side(self, estimate: CropEstimate, known: Literal["left", "right"]) -> Literal["left", "right"]:
        if not self._hand.contract.predicts_side:
            return known
        return "left" if estimate.left_log_odds > 0 else "right"

    def _score(self, estimate: CropEstimate, detected: float) -> float:
        """Detector score and presence, reduced by the uncertainty of the joints, which is large on a face or an ear."""
        certainty = math.exp(-estimate.relative_uncertainty / self.config.uncertainty_scale)
        share = self.config.detector_share
        return detected**share * estimate.presence ** (1.0 - share) * certainty

    def without_duplicates(self, found: list[HandEstimate]) -> list[HandEstimate]:
        """Best first; of duplicates only the best."""
        kept: list[HandEstimate] = []
        for hand in sorted(found, key=lambda f: -f.score):
            if not self.is_duplicate(hand, kept):
                kept.append(hand)
        return kept

    def is_duplicate(self, hand: HandEstimate, others: list[HandEstimate]) -> bool:
        """Whether one of the others is the same hand."""
        c = self.config
        box, boxes = box_of_joints(hand.uv), np.array([box_of_joints(other.uv) for other in others]).reshape(-1, 4)
        return bool(((overlap(box, boxes) > c.same_hand_overlap) | (nested(box, boxes) > c.same_hand_nested)).any())


def checked_camera(image: np.ndarray, camera: Camera | None) -> Camera:
    """The given camera, checked against the picture, or the assumed one.

    Raises:
        ValueError: the picture is not an (H, W, 3) array of uint8, or the camera has another size.
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
