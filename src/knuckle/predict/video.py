"""Hands in a video: tracked from frame to frame, and smoothed."""

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
    initial: Any = None  # of the explanation, from the previous frame


class VideoPredictor:
    """Finds and tracks hands; call it with the frames in order, from one thread. Hands keep their place in the list.

    Args:
        predictor: stateless; may be shared.
        fps: frames per second.
        smoothing: settings of the One-Euro filter; its defaults if None.
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
        """The hands in the next frame; arguments as of `Predictor`."""
        camera = checked_camera(image, camera)
        self._follow(image, camera)
        due = self._frame % self._config.redetect_every == 0
        if not self._tracks or (len(self._tracks) < max_hands and due):
            self._add_tracks(image, camera, max_hands)
        self._frame += 1
        return [self._finish(track, camera) for track in self._tracks]

    def _follow(self, image: np.ndarray, camera: Camera) -> None:
        found = self._predictor.follow(image, camera, [track.found for track in self._tracks])
        memory, limit = self._config.side_memory, self._config.side_limit
        kept: list[_Track] = []
        for track, hand in zip(self._tracks, found, strict=True):
            if hand is None or self._predictor.is_duplicate(hand, [t.found for t in kept]):
                continue
            track.left_log_odds = memory * track.left_log_odds + min(max(hand.left_log_odds, -limit), limit)
            score = max(hand.score, 0.9 * track.found.score)
            track.found = replace(hand, score=score, side=_side(track.left_log_odds))
            kept.append(track)
        self._tracks = kept

    def _add_tracks(self, image: np.ndarray, camera: Camera, max_hands: int) -> None:
        for hand in self._predictor.find(image, camera, max_hands):
            tracked = [track.found for track in self._tracks]
            if len(self._tracks) < max_hands and not self._predictor.is_duplicate(hand, tracked):
                log_odds = self._config.side_limit * (1.0 if hand.side == "left" else -1.0)
                self._tracks.append(_Track(hand, log_odds, OneEuroFilter(self._smoothing)))

    def _finish(self, track: _Track, camera: Camera) -> Hand:
        side = track.found.side
        joints = track.filter(track.found.joints_camera, self._seconds)
        # The pose of a hand of the other side is a poor initial value.
        initial = track.initial if side == track.explained_side else None
        hand, track.initial = self._predictor.explain(replace(track.found, joints_camera=joints), camera, initial)
        track.explained_side = side
        return hand


def _side(left_log_odds: float) -> Literal["left", "right"]:
    return "left" if left_log_odds > 0 else "right"
