"""Fit the drafts of the named poses to their contacts without interpenetration, and write the pose bank.

    python tools/tune_poses.py [NAME ...]

With names only those are fitted again. Writes src/knuckle/handmodel/poses.json: whole degrees, so that the bank can be
read and edited by hand. Prints each pose's remaining contact error and the deepest penetration of a fingertip.
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
CONTACT_SCALE = 1.0e-3  # metres; distance between contact places with a residual of one
NORMAL_SCALE = 2.0  # length of the sum of the two places' normals, which should cancel, with a residual of one
PENETRATION_SCALE = 0.5e-3  # metres; penetration with a residual of one
MAX_PENETRATION = 1.4e-3  # metres; penetration of a fingertip that is accepted, less than the 2 mm that the tests allow
MARGINS = (0.0, 0.5e-3, 1.0e-3, 2.0e-3, 3.0e-3)  # metres; enlargement of the capsules, tried in turn until that holds
# Relative tolerance of the thumb's angles: low for the MCP joint's abduction and rotation, which hardly vary in
# recorded hands.
THUMB = np.array([1.0, 0.8, 0.7, 1.0, 0.4, 0.4, 0.9])
# Initial thumb angles, degrees relative to the draft: a thumb that starts on the wrong side of a finger stays there.
STARTS = ((0, 0, 0, 0, 0, 0, 0), (-8, 14, 0, -8, 0, 0, 0), (10, 8, 8, 12, 0, 0, -10))


def tune(model: HandModel, surface: HandSurface, draft: Draft) -> tuple[np.ndarray, float, np.ndarray]:
    """Degrees (23,), the largest contact error and the five fingertips' penetration depths in metres."""
    start = np.radians(np.array(draft.degrees, dtype=np.float64))
    limits = angle_limits() + np.radians([1.0, -1.0])  # whole degrees must stay inside
    # A hyperextended thumb would bring any two pads together, but people do not pinch like that.
    limits[6, 0] = min(start[6], np.radians(-10))
    # Beyond this the skin between thumb and palm folds.
    limits[0, 1] = np.radians(56)
    tolerance = np.radians(np.concatenate([draft.thumb_tolerance * THUMB, np.full(16, draft.finger_tolerance)]))
    # Flexion has a larger tolerance than abduction: unintended spreading of the fingers is the most visible error.
    tolerance[[7, 11, 15, 19]] *= 0.6
    pairs = [(surface.place(pair[0]), surface.place(pair[1]), 1e-3 * sum(pair[2:])) for pair in draft.touch]

    def contact_errors(vertices: np.ndarray) -> list[np.ndarray]:
        """Vector from each contact's target, the gap above the first place, to its second place."""
        return [vertices[other] - vertices[one] - gap * surface.normal(vertices, one) for one, other, gap in pairs]

    def residual(angles: np.ndarray, margin: float) -> np.ndarray:
        posed = model(angles)
        opposed = [
            surface.normal(posed.vertices, one) + surface.normal(posed.vertices, other) for one, other, _ in pairs
        ]
        penetrations = surface.penetrations(posed.vertices, posed.joints, margin)
        # A gap is the size of a held thing and needs to be met less exactly.
        contacts = [
            error / (CONTACT_SCALE + 0.1 * gap)
            for error, (_, _, gap) in zip(contact_errors(posed.vertices), pairs, strict=True)
        ]
        return np.concatenate(
            [
                (angles - start) / tolerance,
                *contacts,
                *(t / NORMAL_SCALE for t in opposed),
                penetrations / PENETRATION_SCALE,
            ]
        )

    degrees, contact_error, depths = np.degrees(start), np.inf, np.full(5, np.inf)
    for margin in MARGINS:
        found = [
            least_squares(residual, np.clip(begin, *limits.T), bounds=tuple(limits.T), max_nfev=40, args=(margin,))
            for begin in ((start + np.radians(np.pad(shift, (0, 16))) for shift in STARTS) if pairs else [start])
        ]
        degrees = np.round(np.degrees(min(found, key=lambda one: one.cost).x))
        vertices = model(np.radians(degrees)).vertices
        contact_error = max((float(np.linalg.norm(error)) for error in contact_errors(vertices)), default=0.0)
        depths = fingertip_depths(model, vertices)
        if depths.max() < MAX_PENETRATION:
            break
    return degrees, contact_error, depths


def main(names: list[str]) -> None:
    """Fit the poses with these names, or all, and write the bank."""
    model = HandModel.open()
    surface = HandSurface(model)
    bank = json.loads(BANK.read_text()) if BANK.exists() else {}
    poses = {}
    for name, draft in (GESTURES | SIGNS | GRASPS).items():
        if name in bank and names and name not in names:
            poses[name] = bank[name]
            continue
        degrees, contact_error, depths = tune(model, surface, draft)
        poses[name] = {"about": draft.about, "degrees": [int(value) for value in degrees]}
        moved = np.abs(degrees - draft.degrees).max()
        worst = f"depth {1e3 * depths.max():4.1f} mm ({FINGERS[int(depths.argmax())]})" if depths.max() else "no depth"
        print(f"{name:24s} contact error {1e3 * contact_error:4.1f} mm, moved {moved:2.0f} degrees, {worst}")
    lines = [f"  {json.dumps(name)}: {json.dumps(pose)}" for name, pose in poses.items()]
    with atomic_write(BANK) as path:
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="poses to fit again; all by default")
    main(parser.parse_args().names)
