"""Builds handmodel/data/human_limits.npz, the limits of human hands that ship with knuckle.

    python tools/build_human_limits.py [RECORDING ...] [--out FILE] [--hands 20000]

Hands of the free model in the poses that people make (the named poses and the generator's mix of them, within the
anatomical limits of the 23 angles) and in the shapes that adults have, twice as varied, and the recordings; then wider
by the margins below. Not the whole range of every angle at once: a thumb with all of its seven angles at their limits
is not a human one.

A recording is .json: {"left"|"right": {name: 21 x 3}}, metres, common joint order.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from knuckle.geometry.hull import convex_hull_2d, reduce_hull_2d
from knuckle.handmodel import HandModel, angle_limits, named_pose, pose_names
from knuckle.handmodel.learn_ranges import learn_limits
from knuckle.handmodel.ranges import HandLimits, pad_hulls
from knuckle.synth.poses import random_angles

OUT = Path("src/knuckle/handmodel/data/human_limits.npz")
SHAPE_SPREAD = 2.0  # standard deviations of adults' shapes, so that children and large hands are within
# Other data sets place joints elsewhere in the hand, by some millimetres, and palms arch where the model's is rigid.
LENGTH_MARGIN = 0.05
CURVATURE_MARGIN = 0.5
ANGLE_MARGIN = np.radians(5.0)
CORNER_TOLERANCE = np.radians(1.0)  # corners nearer than this to the line of their neighbours are left out


def model_hands(
    model: HandModel, count: int, rng: np.random.Generator, shape_spread: float = SHAPE_SPREAD
) -> np.ndarray:
    """(N, 21, 3) right hands, metres: every named pose, then random ones."""
    bank = {name: named_pose(name) for name in pose_names()}
    limits = angle_limits()
    angles = [*bank.values()] + [random_angles(rng, bank, limits, model.joints)[1] for _ in range(count)]
    shape = shape_spread * rng.normal(size=(len(angles), len(model.shape_limits)))
    return np.asarray(model.joints(np.stack(angles), shape=np.clip(shape, *np.asarray(model.shape_limits).T)))


def recorded_hands(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, 21, 3) and which are left hands (N,)."""
    joints, left = [], []
    for path in paths:
        for side, poses in json.loads(path.read_text()).items():
            joints += poses.values()
            left += [side == "left"] * len(poses)
    return np.asarray(joints, np.float64).reshape(-1, 21, 3), np.asarray(left, bool)


def human_limits(joints: np.ndarray, left: np.ndarray, source: str) -> HandLimits:
    """The limits of these hands with the margins, each hull of few corners."""
    limits = learn_limits(joints, left, percentiles=(0.0, 100.0), share=1.0, source=source)
    wide = limits.widened(LENGTH_MARGIN, CURVATURE_MARGIN, float(ANGLE_MARGIN))
    hulls = [reduce_hull_2d(convex_hull_2d(hull), float(CORNER_TOLERANCE)) for hull in wide.hulls]
    return replace(wide, hulls=pad_hulls(hulls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--hands", type=int, default=20000)
    options = parser.parse_args()
    generated = model_hands(HandModel.open(), options.hands, np.random.default_rng(0))
    recorded, left = recorded_hands(options.recordings)
    source = f"{len(generated)} hands of the free model in named and random poses, {len(recorded)} recorded hands"
    limits = human_limits(
        np.concatenate([generated, recorded]), np.concatenate([np.zeros(len(generated), bool), left]), source
    )
    limits.save(options.out)
    print(f"{options.out}: {source}; {limits.hulls.shape[1]} corners at most, {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
