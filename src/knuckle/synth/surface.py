"""The hand's mesh, ready to render: split at texture seams, with a longer forearm, normals and ambient occlusion."""

from collections.abc import Sequence

import numpy as np

from knuckle.skeleton import BONES

# The joints that flex, thumb to little finger, and which of the 23 angles is the flexion of each.
_FLEXED_JOINTS = (2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19)
_FLEXIONS = (3, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20, 21, 22)
_PALM_RADIUS = 0.011  # metres, half the palm's thickness around a metacarpal


class HandSurface:
    """The parts of the mesh that do not change with the pose, computed once.

    Args:
        vertices: (V, 3) rest vertices in the hand frame, metres. faces: (F, 3). uv: (T, 2). faces_uv: (F, 3).
        face_part: (F,) index into part_names. joints: (21, 3) at rest.
        bones: (V,) the bone with the largest skinning weight of each vertex. forearm_bone: the index of the forearm.

    Attributes:
        corner_vertex: (C,) the vertex of each rendered corner; corner_uv (C, 2); corner_bone (C,);
        corner_rest (C, 3); corner_forearm (C,) true beyond the wrist; triangles (F, 3) into the corners.
    """

    # The forearm is rendered longer than it is modelled, so that its end is outside the picture or in a sleeve.
    _STRETCH_FROM = -0.09
    _STRETCH = 2.5

    def __init__(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        uv: np.ndarray,
        faces_uv: np.ndarray,
        face_part: np.ndarray,
        part_names: list[str],
        joints: np.ndarray,
        bones: np.ndarray,
        forearm_bone: int,
    ) -> None:
        faces = faces.astype(np.int64)
        keys = faces.astype(np.int64) * len(uv) + faces_uv
        unique, inverse = np.unique(keys, return_inverse=True)
        self.triangles = inverse.reshape(-1, 3).astype(np.int32)
        self.corner_vertex = unique // len(uv)
        self.corner_uv = uv[unique % len(uv)].astype(np.float32)
        self.corner_bone = bones[self.corner_vertex]
        self.corner_rest = vertices[self.corner_vertex].astype(np.float32)
        self.rest = vertices
        self.faces = faces
        self.face_part = face_part
        self.part_names = part_names
        self.joints = joints
        self.bones = bones
        self.forearm_bone = forearm_bone
        not_hand = np.isin(face_part, [part_names.index(n) for n in ("forearm", "cap") if n in part_names])
        self.hand_vertices = np.unique(faces[~not_hand])
        forearm = np.ones(len(vertices), bool)
        forearm[self.hand_vertices] = False
        self.forearm_vertices = forearm
        self.corner_forearm = forearm[self.corner_vertex]
        past = np.maximum(self._STRETCH_FROM - vertices[:, 1], 0)
        self._stretch = past * (self._STRETCH - 1) * (bones == forearm_bone)
        # Vertex normals are sums over the faces around each vertex: sorted once, then one reduceat per picture.
        flat = faces.reshape(-1)
        order = np.argsort(flat, kind="stable")
        self._face_of_corner = (np.arange(flat.size) // 3)[order]
        self._starts = np.searchsorted(flat[order], np.arange(len(vertices)))
        self._spheres_setup()
        self._bend_setup()

    def lengthen(self, vertices: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """vertices (V, 3) with the forearm lengthened along the unit direction (3,) from the wrist to the elbow."""
        return vertices + self._stretch[:, None] * direction

    def normals(self, vertices: np.ndarray, flip: bool) -> np.ndarray:
        """Unit vertex normals (V, 3) of posed vertices (V, 3); flip for a left hand, whose winding is mirrored."""
        a, b, c = (vertices[self.faces[:, i]] for i in range(3))
        u, w = b - a, c - a
        face = np.empty_like(u)
        face[:, 0] = u[:, 1] * w[:, 2] - u[:, 2] * w[:, 1]
        face[:, 1] = u[:, 2] * w[:, 0] - u[:, 0] * w[:, 2]
        face[:, 2] = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
        total = np.add.reduceat(face[self._face_of_corner], self._starts, axis=0)
        total /= np.maximum(np.sqrt((total * total).sum(-1, keepdims=True)), 1e-12)
        return -total if flip else total

    def forearm_sections(self, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres (R, 3) and half widths (R, 2) in x and z of the forearm at rest, at distances along (R,) from the
        wrist; metres. Beyond the mesh the last section is repeated."""
        stations = np.linspace(-0.012, -self.rest[:, 1].min() - 0.012, 9)
        forearm = self.rest[np.abs(self.rest[:, 0]) < 0.05]
        low, high = [], []
        for station in stations:
            beside = np.argsort(np.abs(forearm[:, 1] + station), kind="stable")[:24]
            low.append(forearm[beside][:, [0, 2]].min(0))
            high.append(forearm[beside][:, [0, 2]].max(0))
        bounds = np.concatenate([low, high], axis=1)
        edges = np.stack([np.interp(along, stations, column) for column in bounds.T], -1)
        middle = (edges[:, :2] + edges[:, 2:]) / 2
        centres = np.stack([middle[:, 0], -along, middle[:, 1]], -1)
        return centres, (edges[:, 2:] - edges[:, :2]) / 2

    def radii(self) -> np.ndarray:
        """Half the thickness (20,) of the hand around each of BONES at rest, metres: the median distance of a bone's
        vertices from its axis."""
        radii = np.full(len(BONES), _PALM_RADIUS)
        for i, (parent, child) in enumerate(BONES):
            if parent == 0:
                continue
            a, b = self.joints[parent], self.joints[child]
            axis = (b - a) / np.linalg.norm(b - a)
            # Bones are numbered hand 0, then three a finger, base to tip.
            own = self.rest[self.bones == 1 + 3 * ((parent - 1) // 4) + (parent - 1) % 4]
            off = np.linalg.norm(np.cross(own - a, axis), axis=1)
            radii[i] = min(float(np.median(off)), 0.012)
        return radii

    def bend(self, angles: np.ndarray) -> np.ndarray:
        """How far the skin at each vertex (V,) is bent, for angles (23,): 1 at a joint that is flexed by 90 degrees."""
        return self._near_joint @ (angles[list(_FLEXIONS)] / (np.pi / 2))

    def _bend_setup(self) -> None:
        """(V, 14) how near each vertex is to each joint that flexes, along the finger: 1 at its crease."""
        offset = self.rest[:, None] - self.joints[None, list(_FLEXED_JOINTS)]
        distance = np.linalg.norm(offset, axis=-1)
        finger = np.array([(joint - 1) // 4 for joint in _FLEXED_JOINTS])
        own = (self.bones[:, None] - 1) // 3 == finger
        # The knuckles at the fingers' roots bend the skin of the hand's back.
        root = np.array([(joint - 1) % 4 == 0 for joint in _FLEXED_JOINTS])
        own |= root & (self.bones[:, None] == 0)
        self._near_joint = np.where(own, np.exp(-((distance / 0.013) ** 2)), 0.0) * 1.6

    def _spheres_setup(self) -> None:
        """Spheres along the bones, which occlude the ambient light of the rest of the hand."""
        radii = self.radii()
        self._sphere_bone, self._sphere_at, sphere_radius = [], [], []
        for i, (parent, _child) in enumerate(BONES):
            for at in (0.25, 0.75) if parent else (0.35, 0.65, 0.95):
                self._sphere_bone.append(i)
                self._sphere_at.append(at)
                sphere_radius.append(radii[i])
        self._sphere_radius = np.array(sphere_radius, np.float32)
        bones = np.array(BONES)[self._sphere_bone]
        self._sphere_ends = (bones[:, 0], bones[:, 1])
        at = np.array(self._sphere_at)[:, None]
        rest = (1 - at) * self.joints[bones[:, 0]] + at * self.joints[bones[:, 1]]
        # At rest a vertex is occluded by its own bone and its neighbours: that amount counts as none.
        cover = self._sphere_cover(self.rest, self.normals(self.rest, False), rest)
        self._rest_occlusion = np.minimum(cover, 1).sum(1)
        # The same without the other fingers, whose shadow counts even where they lie side by side as at rest.
        finger = np.where((self.bones > 0) & (self.bones < 16), (self.bones - 1) // 3, -1)
        sphere_finger = np.where(bones[:, 0] > 0, (bones[:, 0] - 1) // 4, -1)
        other = (finger[:, None] >= 0) & (sphere_finger >= 0) & (finger[:, None] != sphere_finger)
        self._own_occlusion = np.where(other, 0, np.minimum(cover, 1)).sum(1)

    def ambient_visibility(
        self,
        vertices: np.ndarray,
        normals: np.ndarray,
        joints: np.ndarray,
        others: Sequence[np.ndarray] | None = None,
    ) -> np.ndarray:
        """Fraction of the ambient light that reaches each vertex past the hand's own bones (V,), 0..1.

        Args:
            vertices, normals: (V, 3). joints: (21, 3).
            others: the joints (21, 3) of other hands nearby, which take light too, as do fingers that lie side by side;
                None leaves both out, and the flat hand is lit everywhere.
        """
        usual = self._rest_occlusion if others is None else self._own_occlusion
        extra = np.maximum(self._sphere_occlusion(vertices, normals, self._sphere_centres(joints)) - usual, 0)
        for other in others or ():
            extra = extra + self._sphere_occlusion(vertices, normals, self._sphere_centres(other))
        return np.exp(-2.2 * extra)

    def _sphere_centres(self, joints: np.ndarray) -> np.ndarray:
        at = np.array(self._sphere_at)[:, None]
        return (1 - at) * joints[self._sphere_ends[0]] + at * joints[self._sphere_ends[1]]

    def _sphere_occlusion(self, vertices: np.ndarray, normals: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """Sum over spheres of the cosine-weighted fraction of the hemisphere they cover, (V,)."""
        return np.minimum(self._sphere_cover(vertices, normals, centres), 1).sum(1)

    def _sphere_cover(self, vertices: np.ndarray, normals: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """The cosine-weighted fraction of each vertex' hemisphere that each sphere covers, (V, N). Source: Quilez,
        sphere ambient occlusion: cos / distance² in radii."""
        v, n, c = vertices.astype(np.float32), normals.astype(np.float32), centres.astype(np.float32)
        squared = (v * v).sum(1)[:, None] - 2 * v @ c.T + (c * c).sum(1)
        facing = n @ c.T - (n * v).sum(1)[:, None]  # distance times cosine
        squared = np.maximum(squared, 1e-9)
        return np.maximum(facing, 0) * self._sphere_radius**2 / (squared * np.sqrt(squared))
