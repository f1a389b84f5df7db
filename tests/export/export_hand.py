"""A skin and a motion to write."""

from importlib import resources

import numpy as np

from knuckle.export.skin import MIRROR, Motion, Skin
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.skeleton import JOINT_NAMES, TIPS


def rest_skin(side: str) -> Skin:
    with np.load(str(resources.files("knuckle.handmodel") / "data" / "open_hand.npz")) as asset:
        mirror = MIRROR if side == "left" else np.eye(3)
        joints = asset["joints"].astype(np.float64) @ mirror
        turn = -1 if side == "left" else 1
        bones = asset["bone_names"].tolist()
        return Skin(
            side=side,
            vertices=asset["vertices"].astype(np.float64) @ mirror,
            faces=asset["faces"][:, ::turn].astype(np.int64),
            uv=asset["uv"].astype(np.float64),
            faces_uv=asset["faces_uv"][:, ::turn].astype(np.int64),
            weights_index=asset["weights_index"].astype(np.int64),
            weights_value=asset["weights_value"].astype(np.float64),
            bone_names=tuple(bones),
            bone_parent=asset["bone_parent"].astype(np.int64),
            bone_positions=joints[asset["bone_joint"]],
            tips={JOINT_NAMES[tip]: (bones.index(JOINT_NAMES[tip - 1]), joints[tip]) for tip in TIPS},
        )


def swing(frames: int, seed: int = 0) -> Motion:
    """A random smooth motion in front of the camera."""
    rng = np.random.default_rng(seed)
    start, speed = rng.normal(size=(2, 17, 3)) * 0.5
    time = np.arange(frames)[:, None, None]
    return Motion(axis_angle_to_matrix(start + 0.3 * speed * time), np.asarray([0, 0, 0.5]) + 0.01 * time[:, 0])
