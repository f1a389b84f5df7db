"""Brings two hands of one person together without penetration: a small least-squares problem.

The unknowns are the angles and wrist angles of both hands and the pose of the second; the residuals are penetration
depths, the gaps between points that should touch, and distances from the given pose. The depth of a vertex below the
other hand's surface is measured along the normal of the nearest vertex there: fast, and exact to a fraction of a
millimetre where the depth is small, which is where the search ends.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from knuckle.fit.kinematics import Kinematics, PosedJoints, kinematics_of, pose, rotation_of
from knuckle.geometry.rotation import rotation_about
from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.synth.body import cross
from knuckle.synth.surface import HandSurface

_MIRROR = np.array([-1.0, 1.0, 1.0])
_UNKNOWNS = 56  # 23 angles and 2 wrist angles of either hand, then the second hand's rotation and translation
_WRIST_LIMITS = np.array([[-1.1, 1.1], [-0.5, 0.6]])
_ELBOW = 0.27  # metres from the wrist


@dataclass(frozen=True)
class HandPair:
    """A right hand and a left hand of the same person that touch.

    Attributes:
        kind: what they do, such as "clasped".
        angles: (2, 23) of the right and the left hand, radians.
        wrist_angles: (2, 2) radians.
        T_right_left: (4, 4) rigid, from the left hand's frame to the right hand's.
        touches: (K, 2) vertices of the right and of the left hand that should touch.
    """

    kind: str
    angles: Float[np.ndarray, "2 23"]
    wrist_angles: Float[np.ndarray, "2 2"]
    T_right_left: Float[np.ndarray, "4 4"]
    touches: Int[np.ndarray, "K 2"]


@dataclass(frozen=True)
class SeparateConfig:
    """How far hands may go from where they are, as standard deviations, and when they are apart.

    Attributes:
        angles, wrists, turn: radians. shift: metres.
        gap: standard deviation of the distance of points that should touch, metres; 0 ignores them.
        allowed: depth that soft skin gives way to, metres.
        elbows: minimum distance of the two elbows, metres: forearms of one person do not run side by side.
        steps: of the solver.
    """

    angles: float = 0.12
    wrists: float = 0.3
    turn: float = 0.2
    shift: float = 0.015
    gap: float = 0.004
    allowed: float = 0.001
    elbows: float = 0.2
    steps: int = 6


_DEPTH_STD = 0.0004  # metres; small, so that penetration outweighs everything else
_ELBOW_STD = 0.03
# Standard deviations of one step, which keep it where the linear model holds: radians, and metres of the shift.
_STEP = np.concatenate([np.full(53, 0.05), np.full(3, 0.006)])
# What one step mends at most, metres: a finger that moves by more than its thickness comes out on the wrong side.
_STEP_DEPTH = 0.004
_STEP_GAP = 0.008
_PATCHES = 96
# How far under a patch of skin, and from its vertices, the inside of a hand is looked for, metres: where the hands only
# touch, and to the middle of a forearm.
_QUICK = (0.005, 0.025)
_THOROUGH = (0.03, 0.045)


class PairSolver:
    """Separates hands of any shape.

    Args:
        model: the free hand, with NumPy constants. surface: its mesh.
    """

    def __init__(self, model: HandModel, surface: HandSurface) -> None:
        self.model, self.surface = model, surface
        self.kin: Kinematics = kinematics_of(model)
        weights = np.asarray(model.weights)
        # How much of each vertex an angle moves: the weights of its bone and of those beyond it in the finger.
        outward = np.cumsum(weights[:, 1:16].reshape(-1, 5, 3)[..., ::-1], axis=-1)[..., ::-1].reshape(-1, 15)
        self._share = outward[:, self.kin.bone]
        self._forearm_share = weights[:, 16]
        self._pivots = np.array([1 + 4 * (b // 3) + b % 3 for b in self.kin.bone])
        self._patch_order, self._patch_starts = _patches_of(np.asarray(model.vertices))
        self._limits = np.concatenate([angle_limits(), _WRIST_LIMITS])

    def vertices(self, pair: HandPair, shape: Float[np.ndarray, " S"]) -> Float[np.ndarray, "2 V 3"]:
        """The two meshes in the right hand's frame, the forearms as long as they are rendered."""
        T = np.stack([np.eye(4), pair.T_right_left])
        posed = self.model(
            pair.angles,
            wrist_angles=pair.wrist_angles,
            shape=np.stack([shape, shape]),
            T_camera_hand=T,
            side=np.array([False, True]),
        )
        return np.stack([self.surface.lengthen(posed.vertices[h], self._forearm_direction(pair, h)) for h in range(2)])

    def _forearm_direction(self, pair: HandPair, hand: int) -> np.ndarray:
        axes = np.asarray(self.model.wrist_angle_axis)
        turn = rotation_about(axes[0], pair.wrist_angles[hand, 0]) @ rotation_about(axes[1], pair.wrist_angles[hand, 1])
        direction = turn @ np.array([0.0, -1.0, 0.0])
        return pair.T_right_left[:3, :3] @ (_MIRROR * direction) if hand else direction

    def depth(self, pair: HandPair, shape: Float[np.ndarray, " S"], thorough: bool = False) -> float:
        """The largest penetration depth of a vertex of one hand in the other, metres; 0 where they are apart.

        Args:
            pair: the hands. shape: (S,) of both.
            thorough: also finds a fingertip in the middle of a forearm, far from any skin; takes twice as long.
        """
        contacts = self._contacts(self.vertices(pair, shape), *(_THOROUGH if thorough else _QUICK))
        return max((float(depths.max()) for _, _, _, depths in contacts if len(depths)), default=0.0)

    def _contacts(
        self, vertices: np.ndarray, under_skin: float = _QUICK[0], far: float = _QUICK[1]
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """For right in left, then left in right: the vertices that are inside, the nearest vertex of the other hand,
        its normal (N, 3), and the depths (N,)."""
        patches = [self._patches(v) for v in vertices]
        near = [_inside_spheres(vertices[h], *patches[1 - h], under_skin) for h in range(2)]
        if not (len(near[0]) and len(near[1])):
            return []
        points = [vertices[h][near[h]].astype(np.float32) for h in range(2)]
        closest = (near[1][_nearest(points[0], points[1])], near[0][_nearest(points[1], points[0])])
        found = []
        for hand in range(2):
            other = 1 - hand
            normals = self.surface.normals(vertices[other], flip=bool(other))[closest[hand]]
            offset = vertices[other][closest[hand]] - vertices[hand][near[hand]]
            depth = (normals * offset).sum(1)
            inside = (depth > 0) & ((offset * offset).sum(1) < far**2)
            found.append((near[hand][inside], closest[hand][inside], normals[inside], depth[inside]))
        return found

    def _patches(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spheres around the patches of a posed mesh: centres (P, 3) and radii (P,)."""
        ordered = vertices[self._patch_order]
        counts = np.diff(np.append(self._patch_starts, len(ordered)))
        centres = np.add.reduceat(ordered, self._patch_starts) / counts[:, None]
        offset = ordered - np.repeat(centres, counts, axis=0)
        return centres, np.sqrt(np.maximum.reduceat((offset * offset).sum(1), self._patch_starts))

    def separate(
        self,
        pair: HandPair,
        shape: Float[np.ndarray, " S"],
        config: SeparateConfig | None = None,
        goal: Float[np.ndarray, "2 23"] | None = None,
    ) -> tuple[HandPair, float]:
        """The nearest pair without penetration, whose touching points touch, and the depth that is left.

        Args:
            pair: where to begin.
            shape: (S,) of both hands.
            config: standard deviations.
            goal: angles of the two hands that are preferred, radians; those of the pair if None.

        Returns:
            The pair and the largest depth, metres.
        """
        config = config or SeparateConfig()
        preferred, spent = _both(pair), np.zeros(6)
        if goal is not None:
            preferred = np.concatenate([goal, pair.wrist_angles], axis=1)
        for _ in range(config.steps):
            vertices = self.vertices(pair, shape)
            contacts = self._contacts(vertices)
            deepest = max((float(c[3].max()) for c in contacts if len(c[3])), default=0.0)
            rows, values = self._rows(pair, shape, vertices, contacts, config)
            done = np.concatenate([(_both(pair) - preferred).ravel(), spent])
            change = self._change(_both(pair).ravel(), done, rows, values, config)
            if deepest <= config.allowed and np.abs(change[:50]).max() < 0.01 and np.abs(change[53:]).max() < 5e-4:
                return pair, deepest
            change *= min(1.0, 2.0 / float(np.abs(change / _STEP).max()))
            moved = self._moved(pair, change)
            pair, spent = moved, spent + change[50:]
        return pair, self.depth(pair, shape)

    def _change(
        self, both: np.ndarray, done: np.ndarray, rows: np.ndarray, values: np.ndarray, config: SeparateConfig
    ) -> np.ndarray:
        """The step (56,) from angles and wrist angles (50,), which lie `done` (56,) from those preferred."""
        hand = np.concatenate([np.full(23, config.angles), np.full(2, config.wrists)])
        precision = np.concatenate([hand, hand, np.full(3, config.turn), np.full(3, config.shift)]) ** -2.0
        square, gradient = rows.T @ rows, rows.T @ values + precision * done
        damped = precision + _STEP**-2.0
        change = -np.linalg.solve(square + np.diag(damped), gradient)
        # Angles that would pass a limit go there instead, and the others make up for it.
        low, high = np.tile(self._limits, (2, 1)).T
        wanted = both + change[:50]
        held = np.flatnonzero((wanted < low) | (wanted > high))
        if len(held):
            gradient[held] -= 1e8 * (np.clip(wanted, low, high) - both)[held]
            damped[held] += 1e8
            change = -np.linalg.solve(square + np.diag(damped), gradient)
        return change

    def _moved(self, pair: HandPair, change: np.ndarray) -> HandPair:
        both = np.clip(_both(pair) + change[:50].reshape(2, 25), self._limits[:, 0], self._limits[:, 1])
        T = pair.T_right_left.copy()
        centre = _centre(T)
        turn = rotation_of(change[None, 50:53])[0]
        T[:3, :3] = turn @ T[:3, :3]
        T[:3, 3] = centre + turn @ (T[:3, 3] - centre) + change[53:]
        return replace(pair, angles=both[:, :23], wrist_angles=both[:, 23:], T_right_left=T)

    def _rows(
        self,
        pair: HandPair,
        shape: np.ndarray,
        vertices: np.ndarray,
        contacts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
        config: SeparateConfig,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The Jacobian (N, 56) and the residuals (N,) of depths, gaps and elbows, over their standard deviations."""
        posed = pose(self.kin, pair.angles, np.stack([shape, shape]))
        rows, values = [np.zeros((0, _UNKNOWNS))], [np.zeros(0)]

        def add(
            hand: int, mine: np.ndarray, theirs: np.ndarray, along: np.ndarray, value: np.ndarray, std: float
        ) -> None:
            """along . (theirs - mine) is to fall by value."""
            jacobian = self._motion(pair, posed, vertices, 1 - hand, theirs, along)
            jacobian -= self._motion(pair, posed, vertices, hand, mine, along)
            rows.append(jacobian / std)
            values.append(value / std)

        for hand, (mine, theirs, normals, depth) in enumerate(contacts):
            deep = depth > config.allowed
            if deep.any():
                target = np.minimum(depth[deep] - 0.5 * config.allowed, _STEP_DEPTH)
                add(hand, mine[deep], theirs[deep], normals[deep], target, _DEPTH_STD)
        if config.gap and len(pair.touches):
            right, left = pair.touches.T
            gaps = vertices[1][left] - vertices[0][right]
            gaps *= np.minimum(1.0, _STEP_GAP / np.maximum(np.linalg.norm(gaps, axis=1, keepdims=True), 1e-9))
            axes = np.repeat(np.eye(3), len(right), axis=0)
            add(0, np.tile(right, 3), np.tile(left, 3), axes, gaps.T.reshape(-1), config.gap)
        elbows = np.stack([vertices[h][self.surface.forearm_vertices].mean(0) for h in range(2)])
        wrists = np.stack([np.zeros(3), pair.T_right_left[:3, 3]])
        elbows = wrists + _ELBOW * (elbows - wrists) / np.linalg.norm(elbows - wrists, axis=1, keepdims=True)
        apart = elbows[1] - elbows[0]
        distance = float(np.linalg.norm(apart))
        if distance < config.elbows:
            along = apart[None] / max(distance, 1e-6)
            row = self._forearm_motion(pair, elbows[1:], 1, along) - self._forearm_motion(pair, elbows[:1], 0, along)
            rows.append(row / _ELBOW_STD)
            values.append(np.array([(distance - config.elbows) / _ELBOW_STD]))
        return np.concatenate(rows), np.concatenate(values)

    def _motion(
        self,
        pair: HandPair,
        posed: PosedJoints,
        vertices: np.ndarray,
        hand: int,
        chosen: np.ndarray,
        along: np.ndarray,
    ) -> np.ndarray:
        """(N, 56) change of chosen vertices of a hand along directions (N, 3) with the unknowns."""
        points = vertices[hand][chosen]
        row = self._forearm_motion(pair, points, hand, along, self._forearm_share[chosen])
        local, direction = self._in_hand(pair, hand, points, along)
        lever = cross(local[:, None] - posed.joints[hand][self._pivots], direction[:, None])
        row[:, 25 * hand : 25 * hand + 23] = self._share[chosen] * (lever * posed.axes[hand]).sum(-1)
        return row

    def _forearm_motion(
        self, pair: HandPair, points: np.ndarray, hand: int, along: np.ndarray, share: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """(N, 56) change of points (N, 3) that are carried by the forearm in part, along directions (N, 3)."""
        row = np.zeros((len(points), _UNKNOWNS))
        local, direction = self._in_hand(pair, hand, points, along)
        first, second = np.asarray(self.model.wrist_angle_axis)
        # The axis of deviation, turned by the flexion (Rodrigues; the two are perpendicular at rest).
        angle = pair.wrist_angles[hand, 0]
        axes = np.stack([first, np.cos(angle) * second + np.sin(angle) * cross(first, second)])
        start = 25 * hand + 23
        row[:, start : start + 2] = (cross(local, direction) @ axes.T) * np.reshape(share, (-1, 1))
        if hand:
            row[:, 50:53] = cross(points - _centre(pair.T_right_left), along)
            row[:, 53:] = along
        return row

    @staticmethod
    def _in_hand(pair: HandPair, hand: int, points: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points and directions (N, 3) in the frame of a hand, a left one's mirrored to a right one's."""
        if not hand:
            return points, along
        T = pair.T_right_left
        return (points - T[:3, 3]) @ T[:3, :3] * _MIRROR, along @ T[:3, :3] * _MIRROR


def _patches_of(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh in patches of nearby vertices: all vertices (V,) ordered by patch, and where each patch begins (P,).

    Their centres are chosen one by one, each the vertex farthest from those before it.
    """
    distance = np.full(len(vertices), np.inf)
    of, farthest = np.zeros(len(vertices), int), 0
    for patch in range(_PATCHES):
        gap = np.linalg.norm(vertices - vertices[farthest], axis=1)
        of[gap < distance] = patch
        distance = np.minimum(distance, gap)
        farthest = int(distance.argmax())
    order = np.argsort(of, kind="stable")
    return order, np.searchsorted(of[order], np.arange(_PATCHES))


def _nearest(points: np.ndarray, among: np.ndarray) -> np.ndarray:
    """For each of points (N, 3) the index of the nearest among (M, 3)."""
    # Half of the squared distance without the point's own term, which does not change which is nearest, as one product.
    ones = np.ones((len(points), 1), points.dtype)
    halves = 0.5 * (among * among).sum(1, keepdims=True)
    return (np.concatenate([points, ones], axis=1) @ np.concatenate([-among, halves], axis=1).T).argmin(1)


def _inside_spheres(points: np.ndarray, centres: np.ndarray, radii: np.ndarray, under_skin: float) -> np.ndarray:
    """Which points (N, 3) lie in a sphere, or so near that they may lie under the skin of its patch."""
    squared = (points * points).sum(1)[:, None] - 2 * points @ centres.T + (centres * centres).sum(1)
    return np.flatnonzero((squared < (radii + under_skin) ** 2).any(1))


def _both(pair: HandPair) -> np.ndarray:
    """Angles and wrist angles (2, 25) of the two hands."""
    return np.concatenate([pair.angles, pair.wrist_angles], axis=1)


def _centre(T_right_left: np.ndarray) -> np.ndarray:
    """About the middle of the left palm (3,), which it turns about."""
    return T_right_left[:3, :3] @ np.array([0.0, 0.08, 0.0]) + T_right_left[:3, 3]
