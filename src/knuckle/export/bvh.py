"""A hand's motion as a .bvh file, the plain-text skeleton format of motion capture tools.

Units are metres and the up axis is y; a motion in the camera frame is rotated by pi about x as in a .glb file.
The forearm is left out: it is not part of the hand's 23 angles. The ends of the fingers are the format's "End Site".

Source: the format has no standard; this is the common subset (ROOT with six channels, JOINT with three, in the order
Z, Y, X, applied from left to right: R = Rz Ry Rx) that every reader supports.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from knuckle.export.skinned_mesh import Motion, SkinnedMesh
from knuckle.files import atomic_write

_UPRIGHT = np.diag([1.0, -1.0, -1.0])


def write_bvh(path: Path | str, mesh: SkinnedMesh, motion: Motion, *, in_camera_frame: bool = True) -> None:
    """Write one hand's skeleton and motion, atomically.

    Args:
        path: the file to write.
        mesh: the hand; only its bones and fingertips are used.
        motion: N >= 1 frames at equal distances in time; see `resampled`.
        in_camera_frame: the motion's root is in the camera frame (x right, y down) and is rotated upright.

    Raises:
        ValueError: the motion has no frame, or times of its own.
    """
    if len(motion.translation) == 0:
        raise ValueError("motion must have at least one frame but got none; export at least one pose")
    if motion.times is not None:
        raise ValueError(
            "motion must be at equal distances in time but has times of its own; use resampled(motion, fps)"
        )
    order = _finger_bones(mesh)
    upright = _UPRIGHT if in_camera_frame else np.eye(3)
    rotations = motion.rotations.copy()
    rotations[:, 0] = upright @ rotations[:, 0]
    degrees = np.rad2deg(euler_zyx(rotations[:, order]))
    values = np.concatenate([motion.translation @ upright.T, degrees.reshape(len(degrees), -1)], axis=-1)
    lines = ["HIERARCHY", *_joint(mesh, 0, 0), "MOTION", f"Frames: {len(values)}", f"Frame Time: {1 / motion.fps:.8f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in values.tolist()]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def euler_zyx(rotations: Float[np.ndarray, "N B 3 3"]) -> Float[np.ndarray, "N B 3"]:
    """Angles (z, y, x), radians, with R = Rz(z) Ry(y) Rx(x); unwrapped along the frames.

    At gimbal lock (y = +-pi/2) only z - x or z + x is determined; x is then set to 0.
    """
    y = np.arcsin(np.clip(-rotations[..., 2, 0], -1, 1))
    locked = np.hypot(rotations[..., 2, 1], rotations[..., 2, 2]) < 1e-9
    x = np.where(locked, 0.0, np.arctan2(rotations[..., 2, 1], rotations[..., 2, 2]))
    z = np.where(
        locked,
        np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1]),
        np.arctan2(rotations[..., 1, 0], rotations[..., 0, 0]),
    )
    return np.unwrap(np.stack([z, y, x], axis=-1), axis=0)


def _finger_bones(mesh: SkinnedMesh) -> list[int]:
    """The bones from the root that end in a fingertip, depth first: the order of the file."""
    ends = [bone for bone, _ in mesh.tips.values()]

    def below(bone: int) -> list[int]:
        children = [child for number in np.flatnonzero(mesh.bone_parent == bone) for child in below(int(number))]
        return [bone, *children] if children or bone in ends else []

    return below(0)


def _joint(mesh: SkinnedMesh, bone: int, depth: int) -> list[str]:
    """The lines of a bone and of all bones below it."""
    pad = "\t" * depth
    is_root = mesh.bone_parent[bone] < 0
    offset = np.zeros(3) if is_root else mesh.bone_positions[bone] - mesh.bone_positions[mesh.bone_parent[bone]]
    channels = "6 Xposition Yposition Zposition" if is_root else "3"
    kept = set(_finger_bones(mesh))
    inner = []
    for child in np.flatnonzero(mesh.bone_parent == bone).tolist():
        inner += _joint(mesh, child, depth + 1) if child in kept else []
    for end, position in mesh.tips.values():
        if end == bone:
            tip = position - mesh.bone_positions[bone]
            inner += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\t{_offset(tip)}", f"{pad}\t}}"]
    return [
        f"{pad}{'ROOT' if is_root else 'JOINT'} {mesh.bone_names[bone]}",
        f"{pad}{{",
        f"{pad}\t{_offset(offset)}",
        f"{pad}\tCHANNELS {channels} Zrotation Yrotation Xrotation",
        *inner,
        f"{pad}}}",
    ]


def _offset(vector: Float[np.ndarray, "3"]) -> str:
    return "OFFSET " + " ".join(f"{value:.8f}" for value in vector.tolist())
