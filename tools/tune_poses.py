"""Fit the drafts of the named poses to what they touch, keep fingers out of each other, and write the pose bank.

    python tools/tune_poses.py [NAME ...]

With names only those are made anew. Writes src/knuckle/handmodel/poses.json: whole degrees, so that the bank can be
read and mended by hand. Prints what is left of each pose's contacts and how deep a fingertip lies in the hand.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from knuckle.files import atomic_write
from knuckle.handmodel import HandModel
from knuckle.handmodel.contact import fingertip_depths
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import FINGERS
from poses.draft import Draft
from poses.gestures import GESTURES
from poses.grasps import GRASPS
from poses.signs import SIGNS
from poses.surface import HandSurface

BANK = Path(__file__).parents[1] / "src" / "knuckle" / "handmodel" / "poses.json"
CONTACT = 1.0e-3  # metres by which a contact may be missed at a cost of one
FACING = 2.0  # the sum of the two places' normals at a cost of one; they should cancel
OVERLAP = 0.5e-3  # metres by which fingers may overlap at a cost of one
ALLOWED = 1.4e-3  # metres that a fingertip may pass into the hand: less than the 2 mm that the tests allow
MARGINS = (0.0, 0.5e-3, 1.0e-3, 2.0e-3, 3.0e-3)  # tried in turn until that holds
# How freely the thumb's angles follow: what recorded hands hardly do at the MCP joint is what looks wrong first.
THUMB = np.array([1.0, 0.8, 0.7, 1.0, 0.4, 0.4, 0.9])
# Thumbs to start from, in degrees from the draft's: a thumb that starts on the wrong side of a finger stays there.
STARTS = ((0, 0, 0, 0, 0, 0, 0), (-8, 14, 0, -8, 0, 0, 0), (10, 8, 8, 12, 0, 0, -10))


def tune(model: HandModel, surface: HandSurface, draft: Draft) -> tuple[np.ndarray, float, np.ndarray]:
    """Degrees (23,), the worst missed contact and the five fingertips' depths in metres."""
    start = np.radians(np.array(draft.degrees, dtype=np.float64))
    limits = angle_limits() + np.radians([1.0, -1.0])  # whole degrees must stay inside
    # A thumb that bends backwards brings any two pads together, but people do not pinch like that.
    limits[6, 0] = min(start[6], np.radians(-10))
    # and past this the skin between thumb and palm folds.
    limits[0, 1] = np.radians(56)
    tolerance = np.radians(np.concatenate([draft.thumb_tolerance * THUMB, np.full(16, draft.finger_tolerance)]))
    # Hinges follow more freely than fingers fan out: a spread that is not meant is what looks wrong first.
    tolerance[[7, 11, 15, 19]] *= 0.6
    pairs = [(surface.place(pair[0]), surface.place(pair[1]), 1e-3 * sum(pair[2:])) for pair in draft.touch]

    def misses(vertices: np.ndarray) -> list[np.ndarray]:
        """How far each second place is from where the first one wants it."""
        return [vertices[other] - vertices[one] - gap * surface.facing(vertices, one) for one, other, gap in pairs]

    def residual(angles: np.ndarray, margin: float) -> np.ndarray:
        posed = model(angles)
        turned = [surface.facing(posed.vertices, one) + surface.facing(posed.vertices, other) for one, other, _ in pairs]
        overlaps = surface.overlaps(posed.vertices, posed.joints, margin)
        # a gap says how large a thing is, not exactly where it lies
        contacts = [
            miss / (CONTACT + 0.1 * gap) for miss, (_, _, gap) in zip(misses(posed.vertices), pairs, strict=True)
        ]
        return np.concatenate([(angles - start) / tolerance, *contacts, *(t / FACING for t in turned), overlaps / OVERLAP])

    degrees, missed, depths = np.degrees(start), np.inf, np.full(5, np.inf)
    for margin in MARGINS:
        found = [
            least_squares(residual, np.clip(begin, *limits.T), bounds=tuple(limits.T), max_nfev=40, args=(margin,))
            for begin in ((start + np.radians(np.pad(shift, (0, 16))) for shift in STARTS) if pairs else [start])
        ]
        degrees = np.round(np.degrees(min(found, key=lambda one: one.cost).x))
        vertices = model(np.radians(degrees)).vertices
        missed = max((float(np.linalg.norm(miss)) for miss in misses(vertices)), default=0.0)
        depths = fingertip_depths(model, vertices)
        if depths.max() < ALLOWED:
            break
    return degrees, missed, depths


def main(names: list[str]) -> None:
    """Make the named poses, or all, and write the bank."""
    model = HandModel.open()
    surface = HandSurface(model)
    bank = json.loads(BANK.read_text()) if BANK.exists() else {}
    made = {}
    for name, draft in (GESTURES | SIGNS | GRASPS).items():
        if name in bank and names and name not in names:
            made[name] = bank[name]
            continue
        degrees, missed, depths = tune(model, surface, draft)
        made[name] = {"about": draft.about, "degrees": [int(value) for value in degrees]}
        moved = np.abs(degrees - draft.degrees).max()
        worst = f"depth {1e3 * depths.max():4.1f} mm ({FINGERS[int(depths.argmax())]})" if depths.max() else "no depth"
        print(f"{name:24s} missed {1e3 * missed:4.1f} mm, moved {moved:2.0f} degrees, {worst}")
    lines = [f"  {json.dumps(name)}: {json.dumps(pose)}" for name, pose in made.items()]
    with atomic_write(BANK) as path:
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="poses to make anew; none: all")
    main(parser.parse_args().names)
