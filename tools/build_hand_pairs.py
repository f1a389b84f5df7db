"""Builds synth/data/hand_pairs.npz, the bank of two hands that touch.

    python tools/build_hand_pairs.py [--out FILE]

Each variant of a recipe (tools/hand_pairs/recipes.py) is brought together and freed of penetration by the solver that
the generator uses too, with the average hand, and kept where at most 2 mm are left, what should touch does, and neither
hand penetrates itself. The same bytes in every run.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from hand_asset.store import write_npz
from hand_pairs.landmarks import landmarks
from hand_pairs.recipes import RECIPES, Recipe
from knuckle.files import atomic_write
from knuckle.geometry.rotation import matrix_to_axis_angle
from knuckle.handmodel import HandModel, named_pose
from knuckle.synth.collide import SelfCollision
from knuckle.synth.generate import surface_of
from knuckle.synth.separate import HandPair, PairSolver, SeparateConfig

OUT = Path("src/knuckle/synth/data/hand_pairs.npz")
SEED = 13
MAX_DEPTH = 0.002  # metres
MAX_GAP = 0.015  # metres, of the closest pair of points that should touch
MAX_SELF = 0.004  # metres, of a hand's own capsules, as for single hands
ATTEMPTS = 4  # for each variant

# Far from a recipe's rough start: the hands may move a lot.
APPROACH = SeparateConfig(angles=0.08, wrists=0.6, turn=0.3, shift=0.1, gap=0.006, steps=30)
CLOSING = SeparateConfig(angles=0.2, wrists=0.6, turn=0.3, shift=0.1, gap=0.003, steps=10)


def bank(model: HandModel) -> list[HandPair]:
    """The pairs of all recipes, some recipes with fewer than they ask for."""
    surface = surface_of(model)
    solver, collision = PairSolver(model, surface), SelfCollision(surface.radii())
    places = landmarks(model)
    found = []
    for number, (kind, recipe) in enumerate(RECIPES.items()):
        kept = []
        for variant in range(recipe.count):
            for attempt in range(ATTEMPTS):
                rng = np.random.default_rng([SEED, number, variant, attempt])
                pair = meet(rng, kind, recipe, model, solver, collision, places)
                if pair is not None and not self_penetrates(pair, model, collision):
                    kept.append(pair)
                    break
        print(f"{kind}: {len(kept)} of {recipe.count}", flush=True)
        found += kept
    return found


def self_penetrates(pair: HandPair, model: HandModel, collision: SelfCollision) -> bool:
    """Whether one of the hands penetrates itself."""
    return any(collision.depth(np.asarray(model.joints(angles))) > MAX_SELF for angles in pair.angles)


def meet(
    rng: np.random.Generator,
    kind: str,
    recipe: Recipe,
    model: HandModel,
    solver: PairSolver,
    collision: SelfCollision,
    places: dict[str, int],
) -> HandPair | None:
    """One variant of a recipe, None where it does not come together."""
    goal = np.stack([named_pose(str(rng.choice(names))) for names in (recipe.right, recipe.left)])
    goal = np.stack([_free(angles + rng.normal(0, 0.06, 23), model, collision) for angles in goal])
    start = goal if recipe.first is None else np.stack([named_pose(name) for name in recipe.first])
    fingers, palm = recipe.lie(rng)
    T = np.eye(4)
    T[:3, :3] = np.stack([np.cross(fingers, palm), fingers, palm], axis=-1)
    touches = np.array([(places[right], places[left]) for right, left in recipe.touches])
    pair = HandPair(kind, start, np.clip(rng.normal(0, 0.15, (2, 2)), -0.4, 0.4), T, touches)
    shape = np.zeros(len(model.shape_limits))
    pair = _brought_near(pair, solver, shape)
    pair, _ = solver.separate(pair, shape, APPROACH)
    config = CLOSING
    if recipe.gap:
        config = replace(config, gap=max(0.003, rng.uniform(0, recipe.gap)))
    depth = 1.0
    # Closing step by step: the fingers slide along the other hand instead of appearing inside it.
    for stage in np.linspace(0.2, 1, 5) if recipe.first is not None else [1.0]:
        pair, depth = solver.separate(pair, shape, config, (1 - stage) * start + stage * goal)
    pair, depth = solver.separate(pair, shape, replace(config, gap=3 * config.gap, shift=0.02, steps=20))
    vertices = solver.vertices(pair, shape)
    gaps = np.linalg.norm(vertices[0][touches[:, 0]] - vertices[1][touches[:, 1]], axis=1)
    if depth > MAX_DEPTH or gaps.min() > max(MAX_GAP, recipe.gap):
        return None
    return pair


def _free(angles: np.ndarray, model: HandModel, collision: SelfCollision) -> np.ndarray:
    """The angles with the thumb lifted off the hand's own fingers."""
    lifted = angles.copy()
    for lift in np.deg2rad([0, 8, 16, 24]):
        lifted[1] = angles[1] + lift
        if collision.depth(np.asarray(model.joints(lifted))) < MAX_SELF:
            break
    return lifted


def _brought_near(pair: HandPair, solver: PairSolver, shape: np.ndarray) -> HandPair:
    """The left hand moved so that the points that should touch do on average, and three centimetres back."""
    vertices = solver.vertices(pair, shape)
    right, left = pair.touches.T
    normals = solver.surface.normals(vertices[0], flip=False)[right].mean(0)
    T = pair.T_right_left.copy()
    T[:3, 3] += (vertices[0][right] - vertices[1][left]).mean(0) + 0.03 * normals
    return replace(pair, T_right_left=T)


def packed(pairs: list[HandPair]) -> dict[str, np.ndarray]:
    """The pairs as small integers: angles in tenths of milliradians, places in hundredths of millimetres."""
    kinds = list(dict.fromkeys(pair.kind for pair in pairs))
    touches = np.full((len(pairs), max(len(pair.touches) for pair in pairs), 2), -1, np.int16)
    for row, pair in zip(touches, pairs, strict=True):
        row[: len(pair.touches)] = pair.touches
    T = np.stack([pair.T_right_left for pair in pairs])
    return {
        "kinds": np.array(kinds),
        "kind": np.array([kinds.index(pair.kind) for pair in pairs], np.uint8),
        "angles": np.rint(1e4 * np.stack([pair.angles for pair in pairs])).astype(np.int16),
        "wrist_angles": np.rint(1e4 * np.stack([pair.wrist_angles for pair in pairs])).astype(np.int16),
        "turn": matrix_to_axis_angle(T[:, :3, :3]).astype(np.float32),
        "place": np.rint(1e5 * T[:, :3, 3]).astype(np.int32),
        "touches": touches,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    pairs = bank(HandModel.open())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(arguments.out) as path:
        write_npz(path, packed(pairs))
    print(f"{arguments.out}: {len(pairs)} pairs, {arguments.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
