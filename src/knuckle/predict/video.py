"""Hands in a video: followed from frame to frame, with one shape and one side each, and smoothed."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from knuckle.camera import Camera
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.explain import Pose, palm_of, reposed
from knuckle.predict.pictures import checked_camera
from knuckle.predict.predictor import Predictor
from knuckle.predict.tracks import Track
from knuckle.sample import Hand, Hands
from knuckle.track import Smoothing, match

DEFAULT = Smoothing()


class Frame(NamedTuple):
    """A frame of a video; see `VideoPredictor.__call__`."""

    image: UInt8[np.ndarray, "h w 3"]
    camera: Camera | None = None
    time: float | None = None


class VideoPredictor:
    """Finds and tracks hands; call it with the frames in order, from one thread.

        for hands in VideoPredictor().over(Frame(image) for image in images): ...

    `over` knows of each frame the next one too: its hands neither jitter nor lag. A call knows the frames so far, and
    is for what cannot wait.

    A `Hand.id` is one person's hand, also after it was out of sight for a second or crossed another. Its shape is
    learned in its first second and then held.

    Args:
        predictor: stateless; may be shared. One with the package's networks if None.
        fps: frames per second, of frames whose time is not given.
        smoothing: of the hands' poses; None for none: every frame has its own look, fitted.
    """

    def __init__(
        self, predictor: Predictor | None = None, fps: float = 30.0, smoothing: Smoothing | None = DEFAULT
    ) -> None:
        if not 0 < fps < math.inf:
            raise ValueError(f"fps must be above 0 but got {fps}")
        self._predictor = predictor or Predictor()
        self._config = self._predictor.config
        self._period = 1.0 / fps
        self._smoothing = smoothing
        self._tracks: list[Track] = []
        self._hidden: list[Track] = []
        self._count = 0
        self._time: float | None = None
        self._searched = -math.inf

    def __call__(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        camera: Camera | None = None,
        max_hands: int = 4,
        time: float | None = None,
    ) -> Hands:
        """The hands in the next frame, in the order of their ids.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: that took it; if None a field of view of 60 degrees is assumed.
            max_hands: maximum number of hands.
            time: seconds, of this frame; the last frame's and 1 / fps if None. A time that is not after the last
                frame's, as in files with a broken index, counts as that too.

        Raises:
            ValueError: as of `Predictor`.
        """
        camera = checked_camera(image, camera)
        if self._time is None:
            seconds, now = self._period, 0.0 if time is None else time
        else:
            seconds = self._period if time is None or time <= self._time else time - self._time
            now = self._time + seconds
        self._time = now
        doubtful = self._follow(image, camera, now)
        if self._must_search(max_hands, now) or doubtful:
            self._search(image, camera, max_hands, doubtful, now)
        self._part(now)
        return Hands(self._finish(track, camera, seconds) for track in self._tracks)

    def over(self, frames: Iterable[Frame], max_hands: int = 4) -> Iterator[Hands]:
        """The hands in each frame, one frame later: each is corrected by where its hand goes on to.

        Args:
            frames: in order; the second one is taken before the hands of the first are given.
            max_hands: maximum number of hands in each.

        Raises:
            ValueError: as of `Predictor`.
        """
        before: list[tuple[Track, Hand]] | None = None
        for frame in frames:
            hands = self(frame.image, frame.camera, max_hands, frame.time)
            if before is not None:
                yield Hands(self._corrected(track, hand) for track, hand in before)
            before = list(zip(self._tracks, hands, strict=True))
        if before is not None:
            yield Hands(hand for _, hand in before)

    def _corrected(self, track: Track, hand: Hand) -> Hand:
        """The hand of the frame before, of a track that may be seen in the last frame as well."""
        if track.seen != self._time or track.before is None:
            return hand
        return reposed(self._predictor.model, hand, track.before, self._config)

    def _follow(self, image: np.ndarray, camera: Camera, now: float) -> list[tuple[Track, HandEstimate]]:
        """One look at every track; those that are hardly true are not believed but returned."""
        c = self._config
        looks = self._predictor.follow(
            image, camera, [track.expected(now) for track in self._tracks], [track.side for track in self._tracks]
        )
        pairs = [(track, look) for track, look in zip(self._tracks, looks, strict=True) if look is not None]
        # Where two tracks see one hand, it is that of the more similar one.
        pairs.sort(key=lambda pair: self._distance(*pair, now))
        doubtful: list[tuple[Track, HandEstimate]] = []
        taken: list[HandEstimate] = []
        for track, look in pairs:
            if self._predictor.is_duplicate(look, taken):
                continue
            shift, zoom = track.agreement(look.uv, now)
            if shift > c.doubtful_shift or zoom > c.doubtful_zoom or look.score < c.doubtful_score:
                doubtful.append((track, look))
            else:
                taken.append(look)
                track.see(look, now)
        return doubtful

    def _must_search(self, max_hands: int, now: float) -> bool:
        c, past = self._config, now - self._searched
        if any(track.seen < now for track in self._tracks) or not self._tracks:
            return True
        if self._hidden and past >= c.search_seconds / 4:
            return True
        return len(self._tracks) < max_hands and past >= c.search_seconds

    def _search(
        self,
        image: np.ndarray,
        camera: Camera,
        max_hands: int,
        doubtful: list[tuple[Track, HandEstimate]],
        now: float,
    ) -> None:
        """Looks everywhere: for new hands, and for tracks that are out of sight or whose look is doubtful."""
        twice = self._predictor.is_duplicate
        self._searched = now
        seen = [track.found for track in self._tracks if track.seen == now]
        # Without a closer look: it would come in every search of a scene without hands.
        found = [hand for hand in self._predictor.find(image, camera, max_hands, closer=False) if not twice(hand, seen)]
        lost = [track for track in self._tracks if track.seen < now] + self._hidden
        cost = np.array([[self._distance(track, hand, now) for hand in found] for track in lost])
        new = set(range(len(found)))
        for i, j in match(cost.reshape(len(lost), len(found)), self._config.same_track):
            track = lost[i]
            if track in self._hidden:
                self._hidden.remove(track)
                self._tracks.append(track)
                track.begin_again()
            track.see(found[j], now)
            new.discard(j)
        # Better a doubtful look than none, where there is nothing better.
        for track, look in doubtful:
            now_seen = [t.found for t in self._tracks if t.seen == now] + [found[j] for j in new]
            if track.seen < now and look.score >= self._config.score_threshold and not twice(look, now_seen):
                track.see(look, now)
        for j in sorted(new):
            if sum(track.seen == now for track in self._tracks) < max_hands:
                self._tracks.append(Track(self._count, found[j], now, self._config, self._smoothing))
                self._count += 1

    def _part(self, now: float) -> None:
        """Tracks that were not seen in this frame are out of sight; those that were not for long are given up."""
        hidden = self._hidden + [track for track in self._tracks if track.seen < now]
        self._hidden = [track for track in hidden if now - track.seen <= self._config.remember_seconds]
        self._tracks = sorted((t for t in self._tracks if t.seen == now), key=lambda track: track.number)

    def _distance(self, track: Track, hand: HandEstimate, now: float) -> float:
        """How unlike a track a hand is: where it is, how large, and which side."""
        c = self._config
        shift, zoom = track.agreement(hand.uv, now)
        # The longer it was out of sight, the farther it may have gone.
        reach = 1.0 + (now - track.seen) / c.motion_seconds
        against = hand.left_log_odds if track.side == "right" else -hand.left_log_odds
        return (shift + math.log(zoom)) / reach + min(max(against / c.side_limit, 0.0), 1.0)

    def _finish(self, track: Track, camera: Camera, seconds: float) -> Hand:
        def smooth(pose: Pose) -> Pose:
            palm, length = palm_of(self._predictor.model, track.learn_shape(pose.shape, seconds), track.side)
            return track.smooth(pose, palm, length, seconds)

        known = track.shape if track.shape_known else None
        hand, track.initial = self._predictor.explain(track.found, camera, track.initial, known, smooth)
        return replace(hand, id=track.number)
