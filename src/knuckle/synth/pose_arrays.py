"""Random hands without pictures: joints, angles and shapes as arrays, some thousand a second."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from knuckle.files import atomic_write
from knuckle.handmodel import HandModel, angle_limits, named_pose, pose_names
from knuckle.synth.poses import PoseMix, random_angles

_BLOCK = 1000  # hands a generator of random numbers is for, so that more hands extend a set


def random_hands(
    model: HandModel, count: int, seed: int, mix: PoseMix | None = None, advance: Callable[[int], None] = lambda n: None
) -> tuple[Float[np.ndarray, "n 23"], Float[np.ndarray, "n s"]]:
    """Angles and shapes of random hands: the poses of rendered pictures, of adults and some children.

    Args:
        model: the free hand.
        count: how many, at least 1.
        seed: of all random numbers; the first hands are the same for every count.
        mix: of the kinds of poses.
        advance: called with the number of hands so far.

    Returns:
        (N, 23) radians within the limits of the angles, and (N, S) within those of shapes.
    """
    limits, bank = angle_limits(), {name: named_pose(name) for name in pose_names()}
    found = []
    for start in range(0, count, _BLOCK):
        rng = np.random.default_rng([seed, start])
        found.append(
            [random_angles(rng, bank, limits, model.joints, mix)[1] for _ in range(min(_BLOCK, count - start))]
        )
        advance(min(start + _BLOCK, count))
    angles = np.concatenate([np.array(block) for block in found])
    return angles, random_shapes(model, count, np.random.default_rng([seed, 1, 1]))


def random_shapes(model: HandModel, count: int, rng: np.random.Generator) -> Float[np.ndarray, "n s"]:
    """Shapes (N, S) of random people: the prior of adults, and a tenth of them with the size of children."""
    limits = np.asarray(model.shape_limits)
    shapes = np.clip(rng.normal(0, 1.0, (count, len(limits))), -2.5, 2.5)
    child = rng.random(count) < 0.1
    shapes[child, 0] = rng.uniform(0.75 * limits[0, 0], -1.0, int(child.sum()))
    return np.clip(shapes, limits[:, 0], limits[:, 1])


def write_poses(out: Path, count: int, seed: int, advance: Callable[[int], None] = lambda n: None) -> None:
    """Writes random hands as the data set `arrays:OUT`: joints.npy (metres, hand frame), angles.npy and shape.npy.

    Raises:
        ValueError: count is below 1.
        OSError: the folder cannot be written.
    """
    if count < 1:
        raise ValueError(f"poses must be at least 1 but got {count}")
    model = HandModel.open()
    angles, shape = random_hands(model, count, seed, advance=advance)
    blocks = [slice(i, i + _BLOCK) for i in range(0, count, _BLOCK)]
    joints = np.concatenate([np.asarray(model.joints(angles[b], shape=shape[b])) for b in blocks])
    out.mkdir(parents=True, exist_ok=True)
    for name, array in (("angles", angles), ("shape", shape), ("joints", joints)):
        with atomic_write(out / f"{name}.npy") as unfinished, unfinished.open("wb") as file:
            np.save(file, array.astype(np.float32))
