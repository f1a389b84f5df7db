"""A hand as a skinned mesh: rest mesh, bone hierarchy, skinning weights, and the motion of the bones."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class SkinnedMesh:
    """The rest mesh, bones and skinning weights of one hand, of one shape and side.

    Everything is in the hand frame, metres: origin at the wrist, y towards the fingers, z out of the palm, x to the
    thumb of a right hand and away from the thumb of a left one.

    Attributes:
        side: "left" or "right".
        vertices: (V, 3).  faces: (F, 3), wound so that normals point outwards on this side.
        uv: (T, 2) texture coordinates, v up.  faces_uv: (F, 3) indices into `uv` of the corners of `faces`.
        weights_index, weights_value: (V, 4) bone indices and skinning weights of each vertex; weights sum to 1.
        bone_names: B names.  bone_parent: (B,) index, -1 for the root.  bone_positions: (B, 3) the pivot of
            each bone.  tips: name -> (bone, position (3,)): the fingertips, which are not pivots.
        correctives: name -> (V, 3) displacement at rest for a morph target.
        name: of the hand in files with several; where it is empty the hand is named by its side.
    """

    side: str
    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    uv: Float[np.ndarray, "T 2"]
    faces_uv: Int[np.ndarray, "F 3"]
    weights_index: Int[np.ndarray, "V K"]
    weights_value: Float[np.ndarray, "V K"]
    bone_names: tuple[str, ...]
    bone_parent: Int[np.ndarray, " B"]
    bone_positions: Float[np.ndarray, "B 3"]
    tips: dict[str, tuple[int, Float[np.ndarray, "3"]]]
    correctives: dict[str, Float[np.ndarray, "V 3"]] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Motion:
    """Motion of the bones of a `SkinnedMesh` over N frames.

    Attributes:
        rotations: (N, B, 3, 3) of each bone relative to its parent, identity at rest; the root's is relative to
            the camera or hand frame.
        translation: (N, 3) position of the root's pivot, metres.
        corrective_weights: (N, C) weights of the mesh's correctives; None where it has none.
        fps: frames per second, of frames at equal distances that begin at 0.
        times: (N,) seconds of each frame where they are not, increasing; else None.
    """

    rotations: Float[np.ndarray, "N B 3 3"]
    translation: Float[np.ndarray, "N 3"]
    corrective_weights: Float[np.ndarray, "N C"] | None = None
    fps: float = 30.0
    times: Float[np.ndarray, " N"] | None = None

    @property
    def seconds(self) -> Float[np.ndarray, " N"]:
        """Of each frame."""
        return np.arange(len(self.translation)) / self.fps if self.times is None else self.times


def resampled(motion: Motion, fps: float, begin: float = 0.0) -> Motion:
    """The motion at equal distances in time, as formats need it that have a frame rate and no times.

    Args:
        motion: N >= 1 frames.
        fps: frames per second.
        begin: seconds, of the first frame of the result; before the motion's first frame its pose is that of it.

    Returns:
        The frames from `begin` until the motion's last frame, at least one.
    """
    seconds = motion.seconds
    # Rounded, so that a motion that has this rate keeps all its frames.
    count = max(1, round((float(seconds[-1]) - begin) * fps) + 1)
    wanted = np.clip(begin + np.arange(count) / fps, seconds[0], seconds[-1])
    after = np.clip(np.searchsorted(seconds, wanted, side="right"), 1, max(len(seconds) - 1, 1))
    before, after = after - 1, np.minimum(after, len(seconds) - 1)
    span = np.maximum(seconds[after] - seconds[before], 1e-9)
    share = (wanted - seconds[before]) / span

    def mixed(values: np.ndarray) -> np.ndarray:
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        return (1 - weight) * values[before] + weight * values[after]

    # Frames are near each other: the chord of two rotations is as good as the arc.
    left, _, right = np.linalg.svd(mixed(motion.rotations))
    left[..., -1] *= np.linalg.det(left @ right)[..., None]
    weights = None if motion.corrective_weights is None else mixed(motion.corrective_weights)
    return Motion(left @ right, mixed(motion.translation), weights, fps)


def split_seams(
    faces: Int[np.ndarray, "F 3"], faces_uv: Int[np.ndarray, "F 3"]
) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " S"], Int[np.ndarray, "F 3"]]:
    """One index for position and texture coordinate, as GPUs require: vertices on a UV seam are duplicated.

    Returns:
        (vertex (S,), texture (S,), faces (F, 3)): for each of the S new vertices the index of its old vertex and of
        its texture coordinate; and the faces in new indices.
    """
    pairs = np.stack([faces.ravel(), faces_uv.ravel()], axis=-1).astype(np.int64)
    unique, index = np.unique(pairs, axis=0, return_inverse=True)
    return unique[:, 0], unique[:, 1], index.reshape(faces.shape)


def local_rotations(
    bone_transforms: Float[np.ndarray, "N B 4 4"], bone_parent: Int[np.ndarray, " B"]
) -> Float[np.ndarray, "N B 3 3"]:
    """Rotation of each bone relative to its parent, from the rotations of all bones relative to their rest pose."""
    turned = bone_transforms[..., :3, :3]
    local = turned.copy()
    for bone, parent in enumerate(bone_parent):
        if parent >= 0:
            local[:, bone] = np.swapaxes(turned[:, parent], -1, -2) @ turned[:, bone]
    return local
