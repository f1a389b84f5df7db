"""Hands in a video: each frame starts from where the hands were in the last one, and motion is smoothed."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from knuckle.camera import Camera
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.predictor import Predictor, checked_camera
from knuckle.sample import Hand
from knuckle.track import FilterSettings, OneEuroFilter


@dataclass
class _Track:
    found: HandEstimate  # its side is the track's
    left_log_odds: float
    filter: OneEuroFilter
    explained_side: str = ""
    initial: Any = None  # what the explanation of the last frame left for the next


class VideoPredictor:
    """Call it with one frame after the other, in order, from one thread. Hands keep their place in the list.

    Args:
        predictor: shared or not; it keeps nothing.
        fps: frames a second.
        smoothing: settings of the One-Euro filter; None leaves the joints as they are seen.
    """

    def __init__(self, predictor: Predictor, fps: float, smoothing: FilterSettings | None = None) -> None:
        self._predictor = predictor
        self._config = predictor.config
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
        due = self._frame % self._config.redetect_every == 0
        if not self._tracks or (len(self._tracks) < max_hands and due):
            self._find_more(image, camera, max_hands)
        self._frame += 1
        return [self._finish(track, camera) for track in self._tracks]

    def _follow(self, image: np.ndarray, camera: Camera) -> None:
        found = self._predictor.follow(image, camera, [track.found for track in self._tracks])
        memory, limit = self._config.side_memory, self._config.side_limit
        kept: list[_Track] = []
        for track, hand in zip(self._tracks, found, strict=True):
            if hand is None or self._predictor.is_among(hand, [t.found for t in kept]):
                continue
            track.left_log_odds = memory * track.left_log_odds + min(max(hand.left_log_odds, -limit), limit)
            score = max(hand.score, 0.9 * track.found.score)
            track.found = replace(hand, score=score, side=_side(track.left_log_odds))
            kept.append(track)
        self._tracks = kept

    def _find_more(self, image: np.ndarray, camera: Camera, max_hands: int) -> None:
        for hand in self._predictor.find(image, camera, max_hands):
            if len(self._tracks) < max_hands and not self._predictor.is_among(hand, [t.found for t in self._tracks]):
                odds = self._config.side_limit * (1.0 if hand.side == "left" else -1.0)
                self._tracks.append(_Track(hand, odds, OneEuroFilter(self._smoothing)))

    def _finish(self, track: _Track, camera: Camera) -> Hand:
        side = track.found.side
        joints = track.filter(track.found.joints_camera, self._seconds)
        # The pose of the other side's hand is a bad one to begin from.
        initial = track.initial if side == track.explained_side else None
        hand, track.initial = self._predictor.explain(replace(track.found, joints_camera=joints), camera, initial)
        track.explained_side = side
        return hand


def _side(left_log_odds: float) -> Literal["left", "right"]:
    return "left" if left_log_odds > 0 else "right"
