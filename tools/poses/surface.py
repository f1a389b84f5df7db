"""Named places on a hand's surface, and a fast measure of finger interpenetration, for fitting poses."""

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial import KDTree

from knuckle.handmodel import HandModel
from knuckle.handmodel.contact import mesh_distances, winding_numbers
from knuckle.skeleton import FINGER_JOINTS, FINGERS

_BONES = {"proximal": 1, "middle": 2, "distal": 3}  # counted from a finger's first joint
_THUMB_BONES = {"metacarpal": 1, "proximal": 2, "distal": 3}


class HandSurface:
    """The surface of a hand at rest, with precomputed capsules and depth field.

    Penetration is measured between the surface of each finger's last two bones and tapered capsules around the bones of
    the other fingers, with radii fitted to the surface; and, for fingertips, with the palm at rest.
    """

    def __init__(self, model: HandModel):
        self._model = model
        joints, vertices = model.joints_rest, model.vertices
        bone = np.argmax(model.weights, axis=1)
        self._finger = np.where((bone >= 1) & (bone <= 15), (bone - 1) // 3, -1)
        self._level = (bone - 1) % 3
        starts, ends, radii, owners = [], [], [], []
        for finger, name in enumerate(FINGERS):
            chain = FINGER_JOINTS[name]
            for level in range(3):
                start, end = chain[level], chain[level + 1]
                near = vertices[(self._finger == finger) & (self._level == level)]
                radii.append(_taper(near, joints[start], joints[end]))
                starts.append(start)
                ends.append(end)
                owners.append((finger, level))
        self._starts, self._ends, self._radii = np.array(starts), np.array(ends), np.array(radii)
        # Every third vertex of each finger's last two bones, bone by bone.
        groups = [(finger, level) for finger in range(5) for level in (1, 2)]
        probes = [np.flatnonzero((self._finger == finger) & (self._level == level))[::3] for finger, level in groups]
        self._probes = np.concatenate(probes)
        self._firsts = np.cumsum([0, *(len(probe) for probe in probes[:-1])])
        # A finger's own capsules are excluded, and neighbours at the web: only a fingertip can reach a first bone.
        self._counts = np.array(
            [[owner != finger and (part > 0 or level == 2) for owner, part in owners] for finger, level in groups]
        )
        self._palm = _depth_field(vertices, model.faces[(self._finger[model.faces] == -1).all(axis=1)])

    def place(self, name: str) -> int:
        """The vertex at a named place such as "index.middle.radial@0.5"."""
        model = self._model
        joints, vertices = model.joints_rest, model.vertices
        finger, _, rest = name.partition(".")
        number, chain = FINGERS.index(finger), FINGER_JOINTS[finger]
        (bone, side), share = rest.split("@")[0].split("."), float(rest.split("@")[1])
        end = chain[(_THUMB_BONES if finger == "thumb" else _BONES)[bone]]
        start = end - 1
        along = joints[end] - joints[start]
        centre = joints[start] + share * along
        along = along / np.linalg.norm(along)
        flexion = model.angle_axis[6 if finger == "thumb" else 4 * number + 6]
        palmar = np.cross(flexion, along)
        outwards = {"palmar": palmar, "dorsal": -palmar, "radial": flexion, "ulnar": -flexion}[side]
        offset = vertices - centre
        height = offset @ outwards
        aside = np.linalg.norm(offset - np.outer(height, outwards), axis=1)
        within = (aside < 0.006) & (height > 0) & (height < 0.03) & np.isin(self._finger, (number, -1))
        return int(np.argmin(np.where(within, aside, np.inf)))

    def normal(self, vertices: np.ndarray, vertex: int) -> np.ndarray:
        """(3,) the outward normal of the posed surface at a vertex."""
        faces = self._model.faces[(self._model.faces == vertex).any(axis=1)]
        a, b, c = (vertices[faces[:, i]] for i in range(3))
        normal = np.cross(b - a, c - a).sum(axis=0)
        return normal / np.linalg.norm(normal)

    def penetrations(self, vertices: np.ndarray, joints: np.ndarray, margin: float) -> np.ndarray:
        """Penetration depths in metres of the surface into capsules enlarged by a margin: one per pair, 0 outside."""
        points, start = vertices[self._probes], joints[self._starts]
        axis = joints[self._ends] - start
        offset = points[:, None] - start
        share = np.clip(np.einsum("pcx,cx->pc", offset, axis) / np.einsum("cx,cx->c", axis, axis), 0, 1)
        radius = self._radii[:, 0] * (1 - share) + self._radii[:, 1] * share
        depth = radius + margin - np.linalg.norm(offset - share[..., None] * axis, axis=-1)
        fingers = np.maximum.reduceat(depth, self._firsts, axis=0)[self._counts]
        palm = np.maximum.reduceat(self._palm(points) + margin, self._firsts)[1::2]
        return np.maximum(np.concatenate([fingers, palm]), 0)


def _depth_field(vertices: np.ndarray, faces: np.ndarray) -> RegularGridInterpolator:
    """Depth of a point below the palm's surface, from a grid: negative outside, clipped at -1 cm."""
    axes = [np.arange(low, high, 0.003) for low, high in ((-0.06, 0.06), (-0.01, 0.11), (-0.02, 0.04))]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = KDTree(vertices[np.unique(faces)]).query(grid)[0]
    depth = np.full(len(grid), -0.01)
    near = np.flatnonzero(distance < 0.014)
    sign = np.where(winding_numbers(grid[near], vertices, faces) > 0.5, 1.0, -1.0)
    depth[near] = np.maximum(sign * mesh_distances(grid[near], vertices, faces), -0.01)
    return RegularGridInterpolator(
        axes, depth.reshape([len(axis) for axis in axes]), bounds_error=False, fill_value=-0.01
    )


def _taper(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[float, float]:
    """Radii at both ends of the capsule start-end, by linear regression on its points' distances."""
    axis = end - start
    share = np.clip((points - start) @ axis / (axis @ axis), 0, 1)
    distance = np.linalg.norm(points - start - share[:, None] * axis, axis=1)
    slope, level = np.polyfit(share, distance, 1)
    return float(level), float(level + slope)
