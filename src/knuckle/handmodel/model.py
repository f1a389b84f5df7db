"""The parametric hand: angles and shape in, joints and mesh out, for NumPy arrays and torch tensors."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import array_api_compat
import numpy as np
from jaxtyping import Float, Int

from knuckle.arrays import Array, namespace
from knuckle.geometry.rotation import cross_matrix, rotation_about
from knuckle.handmodel.angles import (
    ROTATING_JOINTS,
    Convention,
    angles_to_rotations,
    check_angles,
    composed_rotations,
)
from knuckle.handmodel.kinematics import joint_transforms, pose_skeleton, skin
from knuckle.handmodel.placement import Side, apply_placement, placement, take_points, to_square

if TYPE_CHECKING:
    from knuckle.handmodel.mano import ManoFile

# The joint each of the 15 finger bones turns about, in the common order.
_PIVOTS: tuple[int, ...] = (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19)
BONE_NAMES: tuple[str, ...] = ("hand", *ROTATING_JOINTS, "forearm")


@dataclass(frozen=True)
class PosedHand:
    """A hand in a pose.

    Attributes:
        joints: (..., 21, 3) metres, in the camera frame where T_camera_hand was given, else in the hand frame.
        vertices: (..., V, 3) in the same frame.
        bone_transforms: (..., B, 4, 4) rest to posed, always in the hand frame of a right hand: the mirror and
            T_camera_hand come after them.
    """

    joints: Float[Array, "... 21 3"]
    vertices: Float[Array, "... v 3"]
    bone_transforms: Float[Array, "... b 4 4"]


@dataclass(frozen=True, eq=False)
class HandModel:
    """A parametric right hand with pose and shape, which can be mirrored; the free one or one from a MANO file.

    The hand frame: origin at the wrist, +y towards the fingers, +z out of the palm, +x to the thumb's side;
    metres. At rest the hand is flat. A left hand is `T_camera_hand @ (diag(-1, 1, 1) x_hand)`.

    V vertices, F faces, S shape directions, B bones (17: hand, the 15 of ROTATING_JOINTS, forearm; 16 where the
    mesh has no forearm).

    Attributes:
        name: "open" or "mano".
        vertices: (V, 3) at rest, shape zero.
        faces: (F, 3) integers, counter-clockwise seen from outside the right hand; see faces_of.
        joints_rest: (21, 3) common order; the wrist is the origin whatever the shape.
        weights: (V, B) skinning weights, rows sum to one.
        shape_names: S names.
        shape_vertices: (S, V, 3) metres per unit of shape.
        shape_joints: (S, 21, 3) metres per unit of shape.
        shape_limits: (S, 2) range of plausible human hands.
        angle_axis: (23, 3) unit axes of ANGLE_NAMES in the hand frame at rest.
        angle_convention: how angles make rotations; see knuckle.handmodel.angles.
        wrist_angle_axis: (2, 3) axes of wrist_flexion and wrist_deviation, which turn the forearm; None without one.
        pose_vertices: (135, V, 3) pose correctives per entry of the 15 rotations minus identity, or None.
        tip_vertices: the five vertices that define the fingertips, or None where those of joints_rest are used.
        uv: (T, 2) texture coordinates or None.
        faces_uv: (F, 3) indices into uv or None.
        face_part: (F,) index into part_names or None.
        part_names: names of the mesh's parts.
        mano: data for conversion of MANO's own parameters, or None; see knuckle.handmodel.mano.
    """

    name: str
    vertices: Float[Array, "v 3"]
    faces: Int[Array, "f 3"]
    joints_rest: Float[Array, "21 3"]
    weights: Float[Array, "v b"]
    shape_names: tuple[str, ...]
    shape_vertices: Float[Array, "s v 3"]
    shape_joints: Float[Array, "s 21 3"]
    shape_limits: Float[Array, "s 2"]
    angle_axis: Float[Array, "23 3"]
    angle_convention: Convention = "composed"
    wrist_angle_axis: Float[Array, "2 3"] | None = None
    pose_vertices: Float[Array, "135 v 3"] | None = None
    tip_vertices: tuple[int, ...] | None = None
    uv: Float[np.ndarray, "t 2"] | None = None
    faces_uv: Int[np.ndarray, "f 3"] | None = None
    face_part: Int[np.ndarray, "f"] | None = None  # noqa: F821
    part_names: tuple[str, ...] = ()
    mano: "ManoFile | None" = None
    # Derived constants in the layout of the hot path: coordinates before vertices, flattened for matrix products.
    # Rows of the basis: P pose correctives, then the rest mesh, then S shape directions.
    _basis: Array = field(init=False, repr=False)
    _pose_feature: Array = field(init=False, repr=False)
    _weights: Array = field(init=False, repr=False)
    _shape_joints: Array = field(init=False, repr=False)
    _cross: Array = field(init=False, repr=False)
    _cross_squared: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        xp = namespace(self.vertices)
        rows = [self.vertices[None], self.shape_vertices]
        feature = None
        if self.pose_vertices is not None:
            # Always in NumPy and float64: float32 rounding would hide the rank.
            whole = _as_like(self.pose_vertices, np.zeros(1))
            feature, answer = (_as_like(factor, self.vertices) for factor in _low_rank(whole))
            rows.insert(0, answer)
        basis = xp.matrix_transpose(xp.concat(rows, axis=0))
        cross = cross_matrix(self.angle_axis)
        derived = {
            "_basis": xp.reshape(basis, (basis.shape[0], 3 * self.vertices.shape[0])),
            "_pose_feature": feature,
            "_weights": xp.matrix_transpose(self.weights) + 0.0,
            "_shape_joints": xp.reshape(self.shape_joints, (self.shape_joints.shape[0], 63)),
            "_cross": cross,
            "_cross_squared": cross @ cross,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @classmethod
    def open(cls) -> "HandModel":
        """The free hand that comes with knuckle: NumPy, float64.

        Takes a few milliseconds; reuse the result. For torch or another precision call `.to(like)`.
        """
        from knuckle.handmodel.asset import load_asset  # that module builds a HandModel

        with resources.as_file(resources.files("knuckle.handmodel") / "data" / "open_hand.npz") as path:
            return load_asset(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **choices: Any) -> "HandModel":
        """A hand from a MANO file, .pkl or .npz.

        Args:
            path: the file.
            choices: options of knuckle.handmodel.mano.load_mano: tips, angle_convention, left_shapes.

        Raises:
            ValueError: it is not a MANO file, or contains code.
            OSError: it cannot be read.
        """
        from knuckle.handmodel.mano import load_mano  # that module builds a HandModel

        return load_mano(Path(path), **choices)

    def to(self, like: Array) -> "HandModel":
        """The same hand with its constants in the library, dtype and device of `like`.

        Texture coordinates and part labels stay NumPy arrays.
        """
        given = {name: getattr(self, name) for name in _CONVERTED_FIELDS}
        return replace(self, **{name: _as_like(value, like) for name, value in given.items() if value is not None})

    def faces_of(self, side: Literal["left", "right"]) -> Int[Array, "f 3"]:
        """The triangles, wound counter-clockwise seen from outside, for a hand of that side."""
        if side not in ("left", "right"):
            raise ValueError(f"side must be 'left' or 'right' but got {side!r}; faces differ only in winding")
        return namespace(self.faces).flip(self.faces, axis=-1) if side == "left" else self.faces

    def shaped_joints(self, shape: Float[Array, "*batch s"] | None) -> Float[Array, "*batch 21 3"]:
        """The 21 joints of the flat hand in a shape, hand frame."""
        if shape is None:
            return self.joints_rest
        self._check_shape(shape)
        xp = namespace(shape, self._shape_joints)
        return self.joints_rest + xp.reshape(shape @ self._shape_joints, (*shape.shape[:-1], 21, 3))

    def rotations(self, angles: Float[Array, "*batch a"]) -> Float[Array, "*batch 15 3 3"]:
        """Rotations of the finger joints for these angles, in the model's angle convention."""
        check_angles(angles)
        self._check_library(angles)
        if self.angle_convention == "composed":
            return composed_rotations(angles, self._cross, self._cross_squared)
        return angles_to_rotations(angles, self.angle_axis, self.angle_convention)

    def joints(
        self,
        angles: Float[Array, "*#batch a"] | None = None,
        rotations: Float[Array, "*#batch n 3 3"] | None = None,
        shape: Float[Array, "*#batch s"] | None = None,
        T_camera_hand: Float[Array, "*#batch 4 4"] | None = None,
        side: Side = "right",
    ) -> Float[Array, "... 21 3"]:
        """The 21 joints alone: .joints of __call__, without skinning the mesh.

        Args, Raises: as for __call__.

        Returns:
            (..., 21, 3) metres.
        """
        if self.tip_vertices is not None:
            return self._pose(angles, rotations, None, shape, T_camera_hand, side, vertices=self.tip_vertices).joints
        local, root = self._local_rotations(angles, rotations)
        self._check_library(shape, T_camera_hand)
        joints = pose_skeleton(local, self.shaped_joints(shape))[1]
        return apply_placement(joints, *placement(joints, root, T_camera_hand, side))

    def __call__(
        self,
        angles: Float[Array, "*#batch a"] | None = None,
        rotations: Float[Array, "*#batch n 3 3"] | None = None,
        wrist_angles: Float[Array, "*#batch w"] | None = None,
        shape: Float[Array, "*#batch s"] | None = None,
        T_camera_hand: Float[Array, "*#batch 4 4"] | None = None,
        side: Side = "right",
    ) -> PosedHand:
        """Pose the hand. All arguments may have leading axes, which broadcast.

        Args:
            angles: (..., 23) radians; None with rotations None is the flat hand.
            rotations: instead of angles: (..., 15, 3, 3), each finger bone relative to its parent, thumb to little
                finger and base to tip, in axes of the hand frame at rest; or (..., 16, 3, 3) with the rotation of
                the whole hand about the wrist first.
            wrist_angles: (..., 2) flexion and deviation of the wrist, radians: the forearm rotates, the hand does not.
            shape: (..., S) in the units of shape_vertices; None is the average adult.
            T_camera_hand: (..., 4, 4) rigid; None leaves the hand in its own frame.
            side: "left", "right", or a boolean array of the leading axes' shape, True for a left hand.

        Raises:
            ValueError: a shape does not match, angles and rotations are both given, or wrist angles are given to a
                hand without a forearm.
            TypeError: the arrays are of another library than the hand's constants; use `model.to(angles)`.
        """
        return self._pose(angles, rotations, wrist_angles, shape, T_camera_hand, side, vertices=None)

    def _pose(
        self,
        angles: Array | None,
        rotations: Array | None,
        wrist_angles: Array | None,
        shape: Array | None,
        T_camera_hand: Array | None,
        side: Side,
        vertices: Sequence[int] | None,
    ) -> PosedHand:
        """As __call__, with the mesh reduced to the given vertices (None: all)."""
        local, root = self._local_rotations(angles, rotations)
        self._check_library(shape, T_camera_hand, wrist_angles)
        rest = self.shaped_joints(shape)
        turned, joints = pose_skeleton(local, rest)
        fingers = joint_transforms(turned, take_points(rest, _PIVOTS), take_points(joints, _PIVOTS))
        bones = self._all_bones(fingers, wrist_angles)
        if root is not None:
            bones = root[..., None, :, :] @ bones
        linear, offset = placement(joints, None, T_camera_hand, side)
        skinned = self._skinned(bones, local, shape, linear, offset, vertices)
        joints = apply_placement(joints, *placement(joints, root, T_camera_hand, side))
        if self.tip_vertices is not None:
            tips = skinned if vertices is not None else take_points(skinned, self.tip_vertices)
            joints = _with_tips(joints, tips)
        return PosedHand(joints, skinned, to_square(bones))

    def _all_bones(self, fingers: Array, wrist_angles: Array | None) -> Array:
        """The fingers' (..., 15, 3, 4) between the hand's and, where there is one, the forearm's."""
        xp = namespace(fingers)
        still = xp.eye(3, 4, dtype=fingers.dtype, device=array_api_compat.device(fingers))[None]
        parts = [still, fingers]
        if self.wrist_angle_axis is not None:
            parts.append(still if wrist_angles is None else _forearm(wrist_angles, self.wrist_angle_axis))
        elif wrist_angles is not None:
            raise ValueError(f"wrist_angles must be None for the hand {self.name!r}, which has no forearm")
        batch = np.broadcast_shapes(*(tuple(part.shape[:-3]) for part in parts))
        return xp.concat([xp.broadcast_to(part, (*batch, *part.shape[-3:])) for part in parts], axis=-3)

    def _skinned(
        self,
        bones: Array,
        local: Array,
        shape: Array | None,
        linear: Array | None,
        offset: Array | None,
        subset: Sequence[int] | None,
    ) -> Array:
        """(..., V, 3) vertices, or those of the subset. The placement is applied to the 17 bones, not to V points."""
        xp = namespace(bones)
        rest, weights = self._rest(local, shape), self._weights
        if subset is not None:
            rest, weights = (xp.stack([array[..., i] for i in subset], axis=-1) for array in (rest, weights))
        if linear is not None:
            bones = linear[..., None, :, :] @ bones
        skinned = skin(rest, weights, bones)
        if offset is not None:
            skinned = skinned + namespace(offset).matrix_transpose(offset)
        return xp.matrix_transpose(skinned)

    def _rest(self, local: Array, shape: Array | None) -> Array:
        """(..., 3, V) the rest mesh with shape and pose correctives applied, in one matrix product."""
        xp = namespace(local)
        used = self._basis.shape[0] if shape is not None else self._basis.shape[0] - len(self.shape_names)
        device = array_api_compat.device(local)
        parts = [xp.ones((1,), dtype=local.dtype, device=device)]
        if self._pose_feature is not None:
            identity = xp.eye(3, dtype=local.dtype, device=device)
            feature = xp.reshape(local - identity, (*local.shape[:-3], 135)) @ self._pose_feature
            parts.insert(0, feature)
        if shape is not None:
            parts.append(shape)
        batch = np.broadcast_shapes(*(tuple(part.shape[:-1]) for part in parts))
        parts = [xp.broadcast_to(part, (*batch, part.shape[-1])) for part in parts]
        return xp.reshape(xp.concat(parts, axis=-1) @ self._basis[:used, :], (*batch, 3, self.vertices.shape[0]))

    def _local_rotations(self, angles: Array | None, rotations: Array | None) -> tuple[Array, Array | None]:
        """(..., 15, 3, 3) of the finger joints and, where it was given, (..., 3, 3) of the whole hand."""
        if angles is not None and rotations is not None:
            raise ValueError("angles and rotations must not both be given; give one of them")
        if angles is not None:
            return self.rotations(angles), None
        xp = namespace(self.vertices)
        if rotations is None:
            identity = xp.eye(3, dtype=self.vertices.dtype, device=array_api_compat.device(self.vertices))
            return xp.broadcast_to(identity, (15, 3, 3)), None
        self._check_library(rotations)
        if rotations.ndim < 3 or tuple(rotations.shape[-3:]) not in ((15, 3, 3), (16, 3, 3)):
            raise ValueError(
                f"rotations must be (..., 15, 3, 3) or (..., 16, 3, 3) but got the shape {tuple(rotations.shape)}"
            )
        if rotations.shape[-3] == 15:
            return rotations, None
        return rotations[..., 1:, :, :], rotations[..., 0, :, :]

    def _check_shape(self, shape: Array) -> None:
        if shape.ndim < 1 or shape.shape[-1] != len(self.shape_names):
            count = len(self.shape_names)
            raise ValueError(f"shape must be (..., {count}), in the order of shape_names, but got {tuple(shape.shape)}")

    def _check_library(self, *arrays: Array | None) -> None:
        ours = array_api_compat.is_torch_array(self.vertices)
        for array in arrays:
            if array is not None and array_api_compat.is_torch_array(array) != ours:
                raise TypeError(
                    f"arrays must be of the library of the hand's constants, {type(self.vertices).__name__}, but got "
                    f"{type(array).__name__}; call model = model.to(array) first"
                )


# The fields that to() converts to another library.
_CONVERTED_FIELDS = frozenset(
    (
        *("vertices", "faces", "joints_rest", "weights", "shape_vertices", "shape_joints", "shape_limits"),
        *("angle_axis", "wrist_angle_axis", "pose_vertices"),
    )
)


def _as_like(array: Array, like: Array) -> Array:
    """The array in the library and device of like; floats in its dtype, integers as int64."""
    xp = namespace(like)
    integers = xp.isdtype(like.dtype, "integral") or "int" in str(array.dtype)
    if not array_api_compat.is_torch_array(like) and array_api_compat.is_torch_array(array):
        array = array.detach().cpu().numpy()
    return xp.asarray(array, dtype=xp.int64 if integers else like.dtype, device=array_api_compat.device(like))


def _low_rank(pose_vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(135, P) and (P, V, 3) low-rank factors of the given (135, V, 3), with P the sum of the bones' ranks.

    A bone's nine rows are often of lower rank: the free hand's have rank one, a function of the bend alone.
    """
    rows = pose_vertices.reshape(15, 9, -1)
    sizes, directions = np.linalg.eigh(rows @ rows.transpose(0, 2, 1))
    kept = sizes > 1e-12 * sizes.max()
    feature = np.zeros((15, 9, int(kept.sum())))
    for column, (bone, direction) in enumerate(np.argwhere(kept)):
        feature[bone, :, column] = directions[bone, :, direction]
    feature = feature.reshape(135, -1)
    return feature, np.tensordot(feature.T, pose_vertices, axes=1)


def _forearm(wrist_angles: Array, axes: Array) -> Array:
    """(..., 1, 3, 4) of the forearm: flexion, then deviation about the rotated axis, about the wrist."""
    if wrist_angles.ndim < 1 or wrist_angles.shape[-1] != 2:
        raise ValueError(
            f"wrist_angles must be (..., 2), flexion and deviation, but got the shape {tuple(wrist_angles.shape)}"
        )
    xp = namespace(wrist_angles, axes)
    turn = rotation_about(axes[0], wrist_angles[..., 0]) @ rotation_about(axes[1], wrist_angles[..., 1])
    return xp.concat([turn, xp.zeros_like(turn[..., :1])], axis=-1)[..., None, :, :]


def _with_tips(joints: Array, tips: Array) -> Array:
    """The (..., 21, 3) joints with the five tips replaced."""
    parts = [joints[..., :1, :]]
    for finger in range(5):
        parts += [joints[..., 1 + 4 * finger : 4 + 4 * finger, :], tips[..., finger : finger + 1, :]]
    return namespace(joints, tips).concat(parts, axis=-2)
