"""The 3D joints of a data set alone, read from its labels without its pictures: all that limits are learned from."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from knuckle.datasets.readers import open_reader, training_split
from knuckle.datasets.sets import SHARDS, parse_spec
from knuckle.datasets.shards import read_labels, shard_paths
from knuckle.files import RefusedFile, number_array
from knuckle.posefile import SUFFIXES, read_poses, require_finite


def read_joints(
    data: str,
    left: bool = False,
    limit: int | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> tuple[Float[np.ndarray, "n 21 3"], Bool[np.ndarray, " n"]]:
    """All hands of a data set whose 21 joints are labelled in space.

    Args:
        data: a data set as for training, see knuckle.datasets.sets, of which the split to train on is read; or a file
            of recorded joints, see knuckle.posefile.
        left: whether the hands of a recording are left ones; data sets say so themselves.
        limit: pictures, labels or frames to read at most.
        progress: called with how many are done, and of how many where that is known.

    Returns:
        (N, 21, 3) metres (a recording's own unit) in each camera's frame, and (N,) which are left hands.

    Raises:
        ValueError: the set has no hand with 3D joints, or its name or a file does not fit.
        OSError: a file is missing or cannot be read.
    """
    if Path(data).suffix.lower() in SUFFIXES and Path(data).is_file():
        joints = read_poses(data)
        require_finite(joints, data)
        joints = joints[:limit]
        return joints, np.full(len(joints), left)
    spec = parse_spec(data)
    if spec.only_2d:
        raise ValueError(f"{data} must have joints in space but :2d leaves them out; give {data.replace(':2d', '')}")
    hands = _of_shards(spec.root, limit, progress) if spec.name == SHARDS else _of_reader(spec, limit, progress)
    found = [(joints, is_left) for joints, is_left in hands if joints is not None and np.isfinite(joints).all()]
    if not found:
        raise ValueError(
            f"{data} must have 3D joints to learn limits from but none of its {len(hands)} hands has: "
            "its labels are in the picture alone; give a set with joints in space"
        )
    return np.stack([joints for joints, _ in found]), np.array([is_left for _, is_left in found])


def _of_shards(root: Path, limit: int | None, progress: Callable) -> list[tuple[np.ndarray | None, bool]]:
    shard_paths(root)
    hands = []
    for done, label in enumerate(islice(read_labels(root), limit), start=1):
        try:
            hands += [(number_array(h["joints_camera"], "joints_camera"), h["side"] == "left") for h in label["hands"]]
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedFile(f"{root} has a label without its hands' joints and sides; write it again") from error
        if hands and hands[-1][0].shape != (21, 3):
            raise RefusedFile(f"{root} must have 21 joints for every hand but has {hands[-1][0].shape}; write it again")
        progress(done, limit)
    return hands


def _of_reader(spec, limit: int | None, progress: Callable) -> list[tuple[np.ndarray | None, bool]]:
    reader = open_reader(spec.name, spec.root, spec.split or training_split(spec.name), images=False)
    total = len(reader) if limit is None else min(limit, len(reader))
    hands = []
    for i in range(total):
        sample = reader[i]
        # Without its side a hand's flexion has no sign.
        hands.append((None if sample.side is None else sample.joints_camera, sample.side == "left"))
        progress(i + 1, total)
    return hands
