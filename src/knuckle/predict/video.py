"""Hands in a video: each frame starts from where the hands were in the last one, and motion is smoothed."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from knuckle.camera import Camera
from knuckle.fit import Fit
from knuckle.predict.crop import square_of_joints
from knuckle.predict.predictor import Found, Predictor, checked_camera, is_among, without_doubles
from knuckle.sample import Hand
from knuckle.track import FilterSettings, OneEuroFilter

# The detector looks for further hands every so many frames; for lost ones at once.
_LOOK_AROUND = 10
# A hand never changes sides, but for a second a fist may look like the other one: what the frames say adds up, with a
# memory of some fifty of them, and no single one may say more than this (logarithmic odds).
_KEPT_ODDS, _MOST_ODDS = 0.98, 4.0


@dataclass
class _Track:
    found: Found
    odds: float  # logarithmic, of a left hand
    filter: OneEuroFilter
    side: str = ""
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
        for track, (hand, odds) in zip(tracks, found, strict=True):
            if hand is None or is_among(hand, [t.found for t in kept]):
                continue
            track.odds = _KEPT_ODDS * track.odds + min(max(odds, -_MOST_ODDS), _MOST_ODDS)
            track.found = replace(hand, score=max(hand.score, 0.9 * track.found.score))
            kept.append(track)
        self._tracks = kept

    def _look_around(self, image: np.ndarray, camera: Camera, max_hands: int) -> None:
        for hand in without_doubles(self._predictor.find(image, camera, max_hands)):
            if len(self._tracks) < max_hands and not is_among(hand, [t.found for t in self._tracks]):
                odds = _MOST_ODDS if hand.side == "left" else -_MOST_ODDS
                self._tracks.append(_Track(hand, odds, OneEuroFilter(self._smoothing)))

    def _finish(self, track: _Track, camera: Camera) -> Hand:
        side = "left" if track.odds > 0 else "right"
        joints = track.filter(track.found.joints_camera, self._seconds)
        # The pose of the other side's hand is a bad one to begin from.
        start = track.fit if side == track.side else None
        hand, track.fit = self._predictor.explain(replace(track.found, joints_camera=joints, side=side), camera, start)
        track.side = side
        return hand
