"""From a picture to hands, in the order in which it happens."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from knuckle.camera import Camera
from knuckle.fit import Fit, fit_hand
from knuckle.handmodel import HandModel
from knuckle.predict.crop import Square, square_of_box
from knuckle.predict.detect import Detection, box_of_joints, nested, overlap
from knuckle.predict.look import Look, look_again, look_around, look_at
from knuckle.predict.network import DetectorGraph, HandGraph
from knuckle.predict.place import from_sight, scale_to_size, settle
from knuckle.sample import Hand
from knuckle.skeleton import BONES
from knuckle.weights import weights_path

# Of the longer side of a picture whose camera nobody knows: between a webcam's and a phone's.
ASSUMED_FOV = math.radians(60.0)
# Two hands whose boxes overlap more than this, or of which one lies by so much within the other, are one seen twice.
_SAME_HAND, _WITHIN = 0.5, 0.75
# Chances below which a crop shows no hand, whatever the detector thought.
_ABSENT = 0.3
# Mean doubt, in extents of the hand, that takes a score down to 1 / e.
_DOUBT_OF_NO_HAND = 0.25
# Part of the least score below which, after the first look, no second one is taken.
_NOT_WORTH_A_LOOK = 0.7
# Of the joints' doubt, for the fit: their errors go together, as of a hand that is displaced, and say less against the
# pose than so many independent ones would.
_TRUST = 0.4
# Metres from the camera that no joint comes closer than.
_NEAREST = 0.02
# The detector proposes so many more places than hands are wanted.
_SPARE = 3


@dataclass(frozen=True)
class Found:
    """A hand as the network has it, before the fit.

    Attributes:
        side: as the hand network says, over all looks.
        score: 0 to 1.
        uv: (21, 2) pixels of the picture.
        joints_camera: (21, 3) metres, of an average adult's size.
        doubt: (21,) metres.
    """

    side: Literal["left", "right"]
    score: float
    uv: Float[np.ndarray, "21 2"]
    joints_camera: Float[np.ndarray, "21 3"]
    doubt: Float[np.ndarray, "21"]


class Predictor:
    """Hands in pictures. Thread-safe, and keeps nothing from one picture to the next.

        hands = Predictor()(image)

    Args:
        detector, hand: ONNX files; those of the package if None.
        threads: for each network.
        threshold: the detector's chance of a hand from which a place is looked at.
        least: score from which what was seen there is called a hand.
        looks: how often the hand network looks at a hand, each time through the crop that the look before suggests;
            the last look takes the mean over the crop as it is and mirrored.
    """

    def __init__(
        self,
        detector: Path | None = None,
        hand: Path | None = None,
        threads: int = 2,
        threshold: float = 0.15,
        least: float = 0.3,
        looks: int = 2,
    ) -> None:
        self._detector = DetectorGraph(detector or weights_path("detector"), threads)
        self._hand = HandGraph(hand or weights_path("hand"), threads)
        self._threshold = threshold
        self._least = least
        self._looks = looks
        self.model = HandModel.open()
        parents, children = np.array(BONES).T
        rest = np.asarray(self.model.joints_rest, float)
        self._lengths = np.linalg.norm(rest[children] - rest[parents], axis=1)

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

    def find(self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, max_hands: int) -> list[Found]:
        """Detector and network: the hands before the fit."""
        places = self.detect(image, max_hands)
        squares = [square_of_box(place.box, place.direction) for place in places]
        found = self.look(image, camera, squares, [place.score for place in places])
        return without_doubles(found)[:max_hands]

    def detect(self, image: UInt8[np.ndarray, "h w 3"], max_hands: int) -> list[Detection]:
        """Places to look at, some more than hands are wanted."""
        return self._detector(image, self._threshold, max_hands + _SPARE)

    def look(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        camera: Camera,
        squares: list[Square],
        scores: list[float],
    ) -> list[Found]:
        """The network on given squares; hands that turn out to be none are left out.

        Args:
            squares: where to look.
            scores: the detector's, of each.
        """
        looks = look_at(self._hand, image, [(square, False) for square in squares])
        pairs = [
            (look, score)
            for look, score in zip(looks, scores, strict=True)
            if self._score(look, score) > _NOT_WORTH_A_LOOK * self._least
        ]
        looks = [look for look, _ in pairs]
        for _ in range(self._looks - 2):
            looks = look_again(self._hand, image, looks)
        if self._looks > 1:
            looks = look_around(self._hand, image, looks)
        found = [
            self._place(camera, look, self._score(look, score)) for look, (_, score) in zip(looks, pairs, strict=True)
        ]
        return [hand for hand in found if hand.score > self._least]

    def _score(self, look: Look, detected: float) -> float:
        """Detector, presence, and above all how sure the network is of the joints: it makes little of a face or ear."""
        return math.sqrt(detected * look.presence) * math.exp(-look.vagueness / _DOUBT_OF_NO_HAND)

    def follow(
        self, image: UInt8[np.ndarray, "h w 3"], camera: Camera, squares: list[Square]
    ) -> list[tuple[Found | None, float]]:
        """One look at hands whose place is known from the frame before.

        Returns:
            For each square the hand, None where there is none any more, and the logarithmic odds of a left one.
        """
        return [
            (
                self._place(camera, look, look.presence) if look.presence > _ABSENT else None,
                look.odds,
            )
            for look in look_at(self._hand, image, [(square, False) for square in squares])
        ]

    def explain(self, found: Found, camera: Camera, initial: Fit | None = None) -> tuple[Hand, Fit]:
        """The hand that the open hand's angles and shape make of the network's joints, and the fit to go on from."""
        fitted = fit_hand(
            self.model,
            found.joints_camera,
            side=found.side,
            joint_uncertainty=_TRUST * found.doubt,
            initial=initial,
            shape_regularisation=1.0,
            iterations=20,
            # A millimetre is far below what the network is off; further steps change nothing that can be measured.
            tolerance=1e-3,
            # Further starts doubled the time of the worst hands and made none of them better.
            restart_above=math.inf,
        )
        residual = float(fitted.error)
        pose = settle(camera, fitted.joints, found.uv, found.doubt) @ fitted.T_camera_hand
        posed = self.model(fitted.angles, shape=fitted.shape, T_camera_hand=pose, side=found.side)
        joints, vertices = np.asarray(posed.joints), posed.vertices
        behind = _NEAREST - float(joints[:, 2].min())
        if behind > 0:
            # A pose that makes no sense of what is close to the lens: nothing that was seen lies behind it.
            away = behind * camera.rays(found.uv).mean(0)
            pose[:3, 3] += away
            joints, vertices = joints + away, vertices + away
        hand = Hand(
            side=found.side,
            score=min(found.score, 1.0),
            box=box_of_joints(camera.project(joints)),
            joints_camera=joints,
            angles=fitted.angles,
            shape=fitted.shape,
            T_camera_hand=pose,
            joint_doubt_mm=1e3 * found.doubt,
            # How far the joints had to be moved, against how far off they are expected to be.
            plausibility=math.exp(-residual / max(2.0 * float(found.doubt.mean()), 1e-6)),
            camera=camera,
            vertices_camera=vertices,
            joints_network=found.joints_camera,
        )
        return hand, fitted

    def _place(self, camera: Camera, look: Look, score: float) -> Found:
        """Depth by the size of an average adult's hand."""
        joints = from_sight(camera.K, np.column_stack([look.uv, look.depth]))
        scale = scale_to_size(joints, self._lengths, look.doubt)
        # A pixel of doubt at the hand's distance; coordinates' absolute errors to a distance in space.
        doubt = 2.0 * scale * look.doubt / math.sqrt(abs(np.linalg.det(camera.K[:2, :2])))
        side = "left" if look.odds > 0 else "right"
        return Found(side, score, look.uv, scale * joints, np.maximum(doubt, 1e-3))


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


def without_doubles(found: list[Found]) -> list[Found]:
    """Best first; of hands at the same place only the best."""
    kept: list[Found] = []
    for hand in sorted(found, key=lambda f: -f.score):
        if not is_among(hand, kept):
            kept.append(hand)
    return kept


def is_among(hand: Found, others: list[Found]) -> bool:
    """Whether one of the others is the same hand seen again."""
    box, boxes = box_of_joints(hand.uv), np.array([box_of_joints(other.uv) for other in others]).reshape(-1, 4)
    return bool(((overlap(box, boxes) > _SAME_HAND) | (nested(box, boxes) > _WITHIN)).any())
