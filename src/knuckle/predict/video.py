"""Hands in a video: each frame starts from where the hands were in the last one, and motion is smoothed."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from knuckle.camera import Camera
from knuckle.fit import Fit
from knuckle.predict.crop import square_of_joints
from knuckle.predict.detect import box_of_joints, overlap
from knuckle.predict.predictor import Found, Predictor, checked_camera, without_doubles
from knuckle.sample import Hand
from knuckle.track import FilterSettings, OneEuroFilter

# The detector looks for further hands every so many frames; for lost ones at once.
_LOOK_AROUND = 10
# How much of its old chance of being a left hand a hand keeps from frame to frame.
_KEPT_SIDE = 0.8


@dataclass
class _Track:
    found: Found
    left: float
    filter: OneEuroFilter
    fit: Fit | None = None


class VideoPredictor:
    """Call it with one frame after the other, in order, from one thread. Hands keep their place in the list.

    Args:
        predictor: shared or not; it keeps nothing.
        fps: frames a second.
        smoothing: settings of the One-Euro filter; None leaves the joints as they are seen.
    """

    def __init__(self, predictor: Predictor, fps: float, smoothing: FilterSettings | None = None) -> None:
        self._predictor = predictor
        self._seconds = 1.0 / fps
        self._smoothing = smoothing
        self._tracks: list[_Track] = []
        self._frame = 0

    def __call__(
        self, image: UInt8[np.ndarray, "h w 3"], camera: Camera | None = None, max_hands: int = 4
    ) -> list[Hand]:
        """The hands in the next frame; arguments as `Predictor`."""
        camera = checked_camera(image, camera)
        self._follow(image, camera)
        if not self._tracks or (len(self._tracks) < max_hands and self._frame % _LOOK_AROUND == 0):
            self._look_around(image, camera, max_hands)
        self._frame += 1
        return [self._finish(track, camera) for track in self._tracks]

    def _follow(self, image: np.ndarray, camera: Camera) -> None:
        tracks = self._tracks
        squares = [square_of_joints(t.found.uv) for t in tracks]
        found = self._predictor.follow(image, camera, squares)
        kept: list[_Track] = []
        for track, (hand, left) in zip(tracks, found, strict=True):
            if hand is None or _is_covered(hand, [t.found for t in kept]):
                continue
            track.left = _KEPT_SIDE * track.left + (1.0 - _KEPT_SIDE) * left
            track.found = replace(hand, score=max(hand.score, 0.9 * track.found.score))
            kept.append(track)
        self._tracks = kept

    def _look_around(self, image: np.ndarray, camera: Camera, max_hands: int) -> None:
        for hand in without_doubles(self._predictor.find(image, camera, max_hands)):
            if len(self._tracks) < max_hands and not _is_covered(hand, [t.found for t in self._tracks]):
                left = 1.0 if hand.side == "left" else 0.0
                self._tracks.append(_Track(hand, left, OneEuroFilter(self._smoothing)))

    def _finish(self, track: _Track, camera: Camera) -> Hand:
        side = "left" if track.left > 0.5 else "right"
        joints = track.filter(track.found.joints_camera, self._seconds)
        hand, track.fit = self._predictor.explain(
            replace(track.found, joints_camera=joints, side=side), camera, track.fit
        )
        return hand


def _is_covered(hand: Found, others: list[Found]) -> bool:
    if not others:
        return False
    return bool(overlap(box_of_joints(hand.uv), np.array([box_of_joints(o.uv) for o in others])).max() > 0.5)
