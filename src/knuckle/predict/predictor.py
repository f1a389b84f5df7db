"""From a picture to hands: detection, passes of the hand network, placement, fit."""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from knuckle.camera import Camera
from knuckle.fit import FitConstants
from knuckle.handmodel import HandModel
from knuckle.predict.closer import detect_closer
from knuckle.predict.config import PredictorConfig
from knuckle.predict.contract import Contract
from knuckle.predict.crop import Square, square_of_box, square_of_joints, square_of_labels
from knuckle.predict.detect import Detection, box_of_joints, nested, overlap
from knuckle.predict.estimate import CropEstimate, HandEstimate
from knuckle.predict.explain import Explain, FitExplain
from knuckle.predict.ik import IKGraph
from knuckle.predict.network import DetectorGraph, Device, HandDetector, HandGraph, HandNetwork
from knuckle.predict.passes import CropPasses, KnownHand
from knuckle.predict.person import checked_shape
from knuckle.predict.pictures import checked_camera, warn_if_bgr
from knuckle.predict.place import place_hand
from knuckle.predict.solve import FitToJoints
from knuckle.sample import Hand, Hands, HeldObject
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
        objects: a hand network that gives the corners of held objects: run once on each hand that is found, of which
            it gives `Hand.object` alone, brought to the hand's place and size. None leaves objects to `hand`.
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
        objects: Path | str | HandNetwork | None = None,
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
        self._objects = None if objects is None else self._passes(objects, threads, device)
        if self._objects is not None and "corners" not in self._objects.contract.outputs:
            raise ValueError(f"objects must be a network that gives corners but got {self._objects.contract}")
        parents, children = np.array(BONES).T
        rest = np.asarray(self.model.shaped_joints(shape), float)
        self._bone_lengths = np.linalg.norm(rest[children] - rest[parents], axis=1)

    def _passes(self, hand: Path | str | HandNetwork | None, threads: int, device: Device) -> CropPasses:
        hand = weights_path("hand") if hand is None else hand
        network = HandGraph(hand, threads, device) if isinstance(hand, (Path, str)) else hand
        return CropPasses(network, self.config)

    def __call__(
        self, image: np.ndarray, camera: Camera | None = None, max_hands: int = 4, *, check_channels: bool = True
    ) -> Hands:
        """The hands in a picture, best first.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: that took it; if None a field of view of 60 degrees is assumed, and distances are estimates.
            max_hands: maximum number of hands.
            check_channels: warn where the picture looks like BGR; needless where it is known to be RGB.

        Raises:
            TypeError: the picture is no array, such as a path, or the None that cv2.imread gives of a missing file.
            ValueError: the picture is not an (H, W, 3) array of uint8, the camera has another size, or max_hands is
                below 1.

        Warns:
            UserWarning: the hands are bluer than skin is: the picture is probably BGR, as OpenCV reads it.
        """
        camera = checked_camera(image, camera)
        if max_hands < 1:
            raise ValueError(f"max_hands must be at least 1 but got {max_hands}")
        hands = Hands(self.explain(found, camera)[0] for found in self.find(image, camera, max_hands))
        if check_channels:
            warn_if_bgr(image, hands)
        return hands

    def batch(
        self,
        images: Sequence[np.ndarray],
        cameras: Sequence[Camera | None] | None = None,
        max_hands: int = 4,
        workers: int = 0,
    ) -> list[Hands]:
        """The hands in many pictures, several at a time: faster than a loop, with the same results.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.
            cameras: of each picture, as in `__call__`; None where all are unknown.
            max_hands: maximum number of hands in each.
            workers: pictures at a time; as many as there are processors if 0. Fastest with `Predictor(threads=1)`.

        Returns:
            The hands of each picture, in the order of the pictures.

        Raises:
            TypeError, ValueError: as in `__call__`; or there is another number of cameras.
        """
        cameras = [None] * len(images) if cameras is None else list(cameras)
        if len(cameras) != len(images):
            raise ValueError(f"cameras must be as many as images, {len(images)}, but got {len(cameras)}")
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            return list(pool.map(lambda image, camera: self(image, camera, max_hands), images, cameras))

    def at_joints(
        self,
        image: np.ndarray,
        joints_image: Float[np.ndarray, "21 2"],
        side: Literal["left", "right"],
        camera: Camera | None = None,
        known_length: float | None = None,
        shape: Float[np.ndarray, " s"] | None = None,
        known_depth: float | None = None,
        corners_image: Float[np.ndarray, "8 2"] | None = None,
        visibility: Bool[np.ndarray, "21"] | None = None,
    ) -> Hand | None:
        """The hand in the crop around known joints, in one pass without detector and guide, as papers evaluate.

        An object that the network gives is kept, however unlikely the network says it is.

        Args:
            image: (H, W, 3) uint8 RGB.
            joints_image: pixels of the true joints, NaN where there is no label; used for the crop only, unless the
                contract asks for joints in the picture.
            side: the true side, used for mirroring; the result has the network's own where it predicts the side.
            camera: as in `__call__`.
            known_length: true length in metres of the bone that the contract names, for a network that predicts no
                size; an average adult's if None.
            shape: (S,) of the hand, where it is known.
            known_depth: true depth in metres of the root that the contract names, where it is known too.
            corners_image: pixels of the true corners of the object's box, for a network that only lifts true points
                into space.
            visibility: (21,) which joints such a network is told of; all if None.

        Returns:
            The hand; None where too few joints are labelled to define a crop, or points that the network must be given
            are not known.

        Raises:
            ValueError: as in `__call__`; or known_length is given for a network whose coordinates are metric, or
                known_depth without it or for one whose coordinates are not 2.5D.
        """
        camera = checked_camera(image, camera)
        square = square_of_labels(joints_image, self._hand.rule)
        if square is None:
            return None
        told = joints_image if visibility is None else np.where(visibility[:, None], joints_image, np.nan)
        points = None
        if "points" in self._hand.contract.inputs:
            corners = np.full((8, 2), np.nan) if corners_image is None else corners_image
            points = np.concatenate([joints_image, corners]).astype(float)
            if not np.isfinite(points).all():
                return None
        known = [KnownHand(side, told, points)]
        (estimate,) = self._hand.run(image, camera, [(square, self._mirrors(side))], known)
        side = self._side(estimate, side)
        contract, lengths = self._hand.contract, self._bone_lengths
        found = place_hand(contract, camera, estimate, lengths, 1.0, side, known_length, known_depth)
        return self.explain(found, camera, shape=shape)[0]

    @property
    def contract(self) -> Contract:
        """Of the hand network."""
        return self._hand.contract

    def find(
        self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, max_hands: int, closer: bool = True
    ) -> list[HandEstimate]:
        """The hands before the fit, best first.

        Args:
            image: the picture.
            camera: that took it.
            max_hands: maximum number of hands.
            closer: search the picture part by part too where no hand in it is sure (`PredictorConfig.sure_score`).
        """
        self._hand.check_sees()
        found = self._at_detections(image, camera, self.detect(image, max_hands))
        c = self.config
        large = max(image.shape[:2]) >= c.large_picture
        if closer and large and all(hand.score < c.sure_score for hand in found):
            maximum = max_hands + c.extra_detections
            again = detect_closer(self._detector, image, c.detection_threshold, maximum)
            found += self._at_detections(image, camera, again)
        found = self.without_duplicates(found)[:max_hands]
        found = self._run_guided(image, camera, found) if self._guided else found
        return self._with_objects(image, camera, found)

    def _at_detections(self, image: np.ndarray, camera: Camera, detections: list[Detection]) -> list[HandEstimate]:
        squares = [square_of_box(d.box, d.direction, self._guide.rule) for d in detections]
        return self.estimate(image, camera, squares, [d.score for d in detections])

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
        remaining = iter(self._with_objects(image, camera, found))
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

    def _with_objects(self, image: np.ndarray, camera: Camera, found: list[HandEstimate]) -> list[HandEstimate]:
        """The hands with what they hold, by the network of objects where there is one; without what is unlikely."""
        if self._objects is not None:
            found = self._run_objects(self._objects, image, camera, found)
        threshold = self.config.object_threshold
        return [
            replace(hand, object=None)
            if hand.object is not None and hand.object.probability is not None and hand.object.probability < threshold
            else hand
            for hand in found
        ]

    def _run_objects(
        self, network: CropPasses, image: np.ndarray, camera: Camera, found: list[HandEstimate]
    ) -> list[HandEstimate]:
        """One pass of a network of objects for each hand."""
        crops = [
            (square_of_joints(hand.uv, rule=network.rule), network.rule.hands == "right" and hand.side == "left")
            for hand in found
        ]
        known = [KnownHand(hand.side, hand.uv) for hand in found]
        held = []
        for hand, estimate in zip(found, network.run(image, camera, crops, known), strict=True):
            own = place_hand(network.contract, camera, estimate, self._bone_lengths, hand.score, hand.side)
            assert own.object is not None, "the contract has corners"
            held.append(replace(hand, object=_brought_to(own.object, own.joints_camera, hand.joints_camera)))
        return held

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
        """Whether one of the others is the same hand: what a much surer one partly covers is that one's arm."""
        c = self.config
        box, boxes = box_of_joints(hand.uv), np.array([box_of_joints(other.uv) for other in others]).reshape(-1, 4)
        share = np.array([min(hand.score / max(other.score, 1e-9), 1.0) for other in others])
        same = (overlap(box, boxes) > c.same_hand_overlap) | (nested(box, boxes) > c.same_hand_nested * share)
        return bool(same.any())


def _brought_to(held: HeldObject, own: Float[np.ndarray, "21 3"], joints: Float[np.ndarray, "21 3"]) -> HeldObject:
    """An object beside another network's joints: moved and scaled as its own network's joints would have to be."""
    assert held.corners_camera is not None, "the contract has corners"
    middle, wanted = own.mean(0), joints.mean(0)
    scale = float(np.linalg.norm(joints - wanted)) / max(float(np.linalg.norm(own - middle)), 1e-9)
    placed = HeldObject.from_corners(wanted + scale * (held.corners_camera - middle))
    return replace(held, corners_camera=placed.corners_camera, T_camera_object=placed.T_camera_object)
