"""`make demo`: predict the hands in a photograph; then pose a hand, add noise to its joints and fit it.

python tools/demo.py                 examples/hand.jpg, a picture rendered by knuckle
python tools/demo.py photo.jpg       one of yours
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from knuckle import Predictor, __version__
from knuckle.check import check_poses
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.handmodel.poses import named_pose
from knuckle.jobs import fit_recording, write_png, write_recording
from knuckle.predict.run import RunOptions, predict_files
from knuckle.skeleton import FINGERS
from knuckle.view import render_sheet

POSES = ("flat", "peace", "point", "fist", "pinch_index", "flat")
FRAMES_BETWEEN = 12
NOISE = 0.002  # metres


def posed_hand(model: HandModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Angles (N, 23) interpolated between the named poses, and the joints (N, 21, 3) in the camera frame."""
    keys = np.stack([named_pose(name) for name in POSES])
    time_of = np.linspace(0, len(keys) - 1, FRAMES_BETWEEN * (len(keys) - 1) + 1)
    angles = np.stack([np.interp(time_of, np.arange(len(keys)), column) for column in keys.T], axis=-1)
    turn = np.stack([0 * time_of, 0.6 * np.sin(time_of), 0 * time_of], axis=-1)
    pose = np.tile(np.eye(4), (len(angles), 1, 1))
    # The camera views the palm: its y axis points down, its z axis forward.
    pose[:, :3, :3] = axis_angle_to_matrix(turn) @ np.diag([1.0, -1.0, -1.0])
    pose[:, :3, 3] = [0.0, 0.08, 0.5]
    shape = np.clip(rng.normal(size=10) * 0.7, model.shape_limits[:, 0], model.shape_limits[:, 1])
    return angles, model.joints(angles, shape=np.tile(shape, (len(angles), 1)), T_camera_hand=pose)


def from_photograph(picture: Path, out: Path) -> bool:
    """Write overlay, JSON and mesh of the hands in a picture; false where the picture could not be read."""
    begun = time.perf_counter()
    summary = predict_files(Predictor(), [picture], out, RunOptions(("json", "overlay", "glb"), None, 0.0, 4))
    took = time.perf_counter() - begun
    if summary.problems:
        print("\n".join(summary.problems), file=sys.stderr)
        return False
    result = json.loads((out / f"{picture.stem}.json").read_text())
    camera = result["camera"]["source"]
    print(f"{picture}: hands found: {len(result['hands'])}, in {took:.2f} s including loading; camera: {camera}")
    for hand in result["hands"]:
        x, y, z = hand["joints_camera"][0]
        bent = ", ".join(f"{name} {np.degrees(hand['angles'][f'{name}_pip_flexion']):.0f}" for name in FINGERS[1:])
        print(f"  {hand['side']}, score {hand['score']:.2f}, wrist at ({x:.2f}, {y:.2f}, {z:.2f}) m, mean joint")
        print(f"  uncertainty {np.mean(hand['joint_uncertainty_mm']):.0f} mm; PIP flexion, degrees: {bent}")
    for path in sorted(out.glob(f"{picture.stem}.*")):
        print(f"wrote {path}")
    return True


def from_noise(out: Path) -> None:
    """Pose a hand, add noise to its joints, check and fit them, and write pictures and an animated mesh."""
    rng = np.random.default_rng(0)
    model = HandModel.open()
    angles, joints = posed_hand(model, rng)
    noisy = joints + rng.normal(size=joints.shape) * NOISE
    print(f"knuckle {__version__}: a hand of {len(model.vertices)} vertices moves through {' - '.join(POSES)}")
    print(f"its 21 joints in {len(noisy)} frames, with noise of {1000 * NOISE:g} mm standard deviation per coordinate")
    print(f"check: {check_poses(noisy, 'right', model).lines()[-1]}")

    begun = time.perf_counter()
    fitted = fit_recording(noisy, shape="shared", model=model)
    each = 1000 * (time.perf_counter() - begun) / len(noisy)
    true_error = 1000 * np.linalg.norm(fitted.joints - joints, axis=-1).mean()
    noisy_error = fitted.error_mm.mean()
    print(
        f"fit: {noisy_error:.2f} mm from the noisy joints, {true_error:.2f} mm from the true ones; {each:.1f} ms a hand"
    )
    key = FRAMES_BETWEEN
    print(f"{POSES[1]}, degrees (posed / fitted):")
    for name in ("index_pip_flexion", "middle_pip_flexion", "ring_pip_flexion", "little_pip_flexion"):
        column = ANGLE_NAMES.index(name)
        print(f"  {name:20} {np.degrees(angles[key, column]):5.0f} / {np.degrees(fitted.angles[key, column]):.0f}")

    rows = []
    for number, name in enumerate(POSES[1:-1], start=1):
        frame = number * FRAMES_BETWEEN
        hand = model(fitted.angles[frame], shape=fitted.shape[frame])
        around = np.concatenate([hand.joints - 0.012, hand.joints + 0.012])
        rows.append(render_sheet(hand.vertices, model.faces, 320, title=name, focus=around))
    picture = out / "hand.png"
    write_png(picture, np.concatenate(rows))
    for path in (picture, *write_recording(fitted, out, glb=True, model=model)):
        print(f"wrote {path}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, nargs="?", default=Path("examples/hand.jpg"))
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    given = parser.parse_args()
    if not from_photograph(given.picture, given.out):
        return 2
    print()
    from_noise(given.out / "posed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
