"""One person's hand over the frames of a video: what is known of it, and how it goes on."""

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.predict.config import PredictorConfig
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.explain import Pose
from knuckle.track import PoseFilter, Smoothing


class Agreement(NamedTuple):
    """How far a look is from where its track was expected.

    Attributes:
        shift: distance of the centres, in sides of the expected hand.
        zoom: the larger side over the smaller one.
    """

    shift: float
    zoom: float


class Track:
    """A hand that is followed.

    Args:
        number: its id, from 0 in the order of appearance.
        found: what it is begun with.
        time: seconds, of that frame.
        config: parameters.
        smoothing: of its pose, None for none.

    Attributes:
        found: the last look that was believed; its side is the track's.
        seen: seconds, when that was.
        initial: of the explanation, from the last frame.
        before: the pose that was smoothed before the last, corrected by the last; None where there is none.
    """

    def __init__(
        self, number: int, found: HandEstimate, time: float, config: PredictorConfig, smoothing: Smoothing | None
    ) -> None:
        self.number = number
        self.seen = time
        self.initial: Any = None
        self.before: Pose | None = None
        self.found = found
        self._config = config
        self._velocity = np.zeros(2)
        self._votes = 0.0
        self._smoothing = smoothing
        self._filter = None if smoothing is None else PoseFilter(smoothing)
        # Whether the filter has a pose already.
        self._smoothed = False
        self._shapes = np.zeros(0)
        self._shape_weight = 0.0
        self._shape_seconds = 0.0
        self._vote(found.left_log_odds, 1.0)

    @property
    def side(self) -> Literal["left", "right"]:
        """Of the person's hand, by all looks so far."""
        return self.found.side

    @property
    def shape(self) -> np.ndarray | None:
        """(S,) mean over the looks so far, of which those of the first second count; None before the first."""
        return self._shapes / self._shape_weight if self._shape_weight > 0 else None

    @property
    def shape_known(self) -> bool:
        """Whether the shape is final."""
        return self._shape_seconds >= self._config.shape_seconds

    def expected(self, time: float) -> Float[np.ndarray, "21 2"]:
        """Where the joints are expected in the picture: moved on as in the last frames, for a short while."""
        return self.found.uv + self._velocity * min(time - self.seen, self._config.motion_seconds)

    def agreement(self, uv: Float[np.ndarray, "21 2"], time: float) -> Agreement:
        """How far joints are from those that are expected."""
        expected = self.expected(time)
        one, other = _side(uv), _side(expected)
        shift = float(np.linalg.norm(_centre(uv) - _centre(expected))) / other
        return Agreement(shift, max(one, other) / max(min(one, other), 1e-6))

    def see(self, found: HandEstimate, time: float) -> None:
        """Goes on with a look that is believed to be at this hand."""
        seconds = time - self.seen
        moved = (_centre(found.uv) - _centre(self.found.uv)) / max(seconds, 1e-3)
        memory = np.exp(-seconds / self._config.motion_seconds)
        self._velocity = memory * self._velocity + (1.0 - memory) * moved
        before = self.side
        self._vote(found.left_log_odds, seconds)
        self.found = replace(found, side="left" if self._votes > 0 else "right")
        self.seen = time
        if self.side != before:
            # Pose and shape of a hand of the other side are poor ones to go on from.
            self._forget_pose()
            self._shapes, self._shape_weight, self._shape_seconds = np.zeros(0), 0.0, 0.0

    def begin_again(self) -> None:
        """Of a hand that was out of sight nothing is known but its shape and side."""
        self._velocity = np.zeros(2)
        self._forget_pose()

    def learn_shape(self, shape: Float[np.ndarray, " s"], seconds: float) -> Float[np.ndarray, " s"]:
        """Adds the shape of a look, as fitted to it alone, while the shape is not known.

        Args:
            shape: of the look.
            seconds: that the look stands for.

        Returns:
            The track's shape.
        """
        if not self.shape_known:
            weight = max(self.found.score, 1e-3) * seconds
            self._shapes = weight * shape + (self._shapes if self._shape_weight > 0 else 0.0)
            self._shape_weight += weight
            self._shape_seconds += seconds
        return self._shapes / self._shape_weight

    def smooth(self, pose: Pose, palm: Float[np.ndarray, "3"], length: float, seconds: float) -> Pose:
        """The pose with the track's shape, and filtered.

        Args:
            pose: in this frame.
            palm: a point of the palm in the hand's frame, metres.
            length: of the palm, metres.
            seconds: since the last frame.
        """
        angles, _, T = pose
        shape = self._shapes / self._shape_weight
        if self._filter is not None:
            angles, T = self._filter(angles, T, palm, length, seconds, self.found.uncertainty)
            was, where = self._filter.before()
            self.before = Pose(was, shape, where) if self._smoothed else None
            self._smoothed = True
        return Pose(angles, shape, T)

    def _forget_pose(self) -> None:
        self.initial, self.before, self._smoothed = None, None, False
        self._filter = None if self._smoothing is None else PoseFilter(self._smoothing)

    def _vote(self, left_log_odds: float, seconds: float) -> None:
        c = self._config
        # Looks that follow each other are not independent: a second of them counts as much as a few.
        vote = min(max(left_log_odds, -c.side_limit), c.side_limit) * min(seconds, 1.0)
        self._votes = min(max(self._votes + vote, -c.side_votes), c.side_votes)


def _centre(uv: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "2"]:
    return (uv.min(0) + uv.max(0)) / 2


def _side(uv: Float[np.ndarray, "21 2"]) -> float:
    return max(float(np.ptp(uv, axis=0).max()), 1e-6)
