"""The work of the `fit` and `pose` commands as Python functions: fitting recordings and writing files and pictures."""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float

from knuckle.check import check_poses
from knuckle.export.bvh import write_bvh
from knuckle.export.fits import FittedHands
from knuckle.export.glb import write_glb
from knuckle.export.hand import motion_of, skinned_mesh_of
from knuckle.export.obj import write_obj
from knuckle.files import InputError, atomic_write
from knuckle.fit import fit_human_hand
from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.retarget import RobotHand, retarget
from knuckle.view import render_sheet

CHUNK = 256
# What `knuckle check` may find that makes a fit meaningless, and of how many frames it is asked.
_CONVENTIONS = ("unit", "order", "root", "side", "collapsed", "unlike")
_CHECKED_FRAMES = 32
# Metres around the joints in a picture: a little more than half a finger's thickness.
_PICTURE_MARGIN = 0.012
POSE_SUFFIXES = (".glb", ".obj", ".png")


def fit_recording(
    joints: Float[np.ndarray, "N 21 3"],
    side: Literal["left", "right"] = "right",
    shape: Literal["free", "shared"] = "free",
    model: HandModel | None = None,
    resume_file: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> FittedHands:
    """Fit a hand to every frame of a recording.

    Args:
        joints: (N, 21, 3) metres, common order, finite.
        side: the side of all hands.
        shape: "free", one per frame, or "shared", one for all frames.
        model: the hand; the free one where None.
        resume_file: with shape "free", a file to save completed frames in when interrupted; the next call with the
            same joints resumes from it and removes it.
        progress: called with the number of frames completed.

    Raises:
        ValueError: joints are not finite or of another shape.
        KeyboardInterrupt: re-raised, after the completed frames were written to `resume_file`.
    """
    model = HandModel.open() if model is None else model
    if shape == "shared":
        fitted = _fitted_hands(joints, side, model, shape)
        progress(len(joints))
        return fitted
    key = _fingerprint(joints, side)
    parts = [] if resume_file is None else _resumable_frames(resume_file, key)
    done = sum(len(part) for part in parts)
    try:
        while done < len(joints):
            progress(done)
            parts.append(_fitted_hands(joints[done : done + CHUNK], side, model, shape))
            done += len(parts[-1])
    except KeyboardInterrupt:
        if resume_file is not None and parts:
            # The fingerprint is stored in `side`: an additional array would be another file format.
            replace(_concatenated(parts), side=key).write_npz(resume_file)
        raise
    progress(done)
    if resume_file is not None:
        resume_file.unlink(missing_ok=True)
    return _concatenated(parts)


def write_recording(
    fitted: FittedHands,
    out: Path,
    *,
    glb: bool = False,
    bvh: bool = False,
    json: bool = False,
    fps: float = 30.0,
    model: HandModel | None = None,
) -> list[Path]:
    """Write a fitted recording to a folder, each file atomically.

    Args:
        fitted: from `fit_recording`.
        out: the folder; created when missing. fit.npz is always written, hand.glb, hand.bvh and fit.json on request.
            Mesh and skeleton files have one shape: the mean over all frames.
        fps: frames per second of the recording.
        model: the hand the recording was fitted with.

    Returns:
        The files written.
    """
    model = HandModel.open() if model is None else model
    fitted.write_npz(out / "fit.npz")
    written = [out / "fit.npz"]
    if json:
        fitted.write_json(out / "fit.json")
        written.append(out / "fit.json")
    if glb or bvh:
        skin = skinned_mesh_of(model, fitted.shape.mean(axis=0), _side(fitted.side))
        motion = motion_of(model, fitted.angles, fitted.rotation, fitted.translation, _side(fitted.side), fps)
        if glb:
            write_glb(out / "hand.glb", [(skin, motion)])
            written.append(out / "hand.glb")
        if bvh:
            write_bvh(out / "hand.bvh", skin, motion)
            written.append(out / "hand.bvh")
    return written


def require_conventions(joints: Float[np.ndarray, "N 21 3"], side: Literal["left", "right"], path: Path) -> None:
    """Refuse joints in another unit or order, of the other side, or of no hand, which a wrong hand would be fitted to.

    Args:
        joints: finite.
        side: as which they are to be fitted.
        path: of their file, for the message.

    Raises:
        InputError: has what `knuckle check` says of some of the frames.
    """
    some = joints[np.unique(np.linspace(0, len(joints) - 1, _CHECKED_FRAMES).astype(int))]
    findings = [finding for finding in check_poses(some, side).findings if finding.kind in _CONVENTIONS]
    # Single frames of the other side are a hand's confusion, not the recording's.
    most = [finding for finding in findings if 2 * len(finding.frames) > len(some)]
    if most:
        looked = f"from {len(some)} of {len(joints)} frames; " if len(some) < len(joints) else ""
        said = "; ".join(finding.message for finding in most)
        raise InputError(f"{path}: {said} ({looked}--force fits it as it is)")


def write_robot(robot: RobotHand, joints: Float[np.ndarray, "N 21 3"], out: Path, fps: float) -> list[Path]:
    """Write robot.npz and robot.csv: positions of a robot's hand that follows the joints.

    Returns:
        The files written.
    """
    motion = retarget(robot, joints)
    motion.write_npz(out / "robot.npz")
    motion.write_csv(out / "robot.csv", fps)
    return [out / "robot.npz", out / "robot.csv"]


def write_pose(
    angles: Float[np.ndarray, "23"],
    path: Path,
    side: Literal["left", "right"] = "right",
    title: str = "",
    model: HandModel | None = None,
) -> None:
    """Write one pose as a skinned mesh (.glb), a mesh (.obj) or a picture of four views (.png), in the hand frame.

    Raises:
        ValueError: the suffix is another one.
    """
    model = HandModel.open() if model is None else model
    suffix = path.suffix.lower()
    if suffix not in POSE_SUFFIXES:
        raise ValueError(f"{path} must end in .glb, .obj or .png; the suffix selects the format")
    posed = model(angles=angles, side=side)
    faces = np.asarray(model.faces_of(side))
    if suffix == ".glb":
        write_glb(
            path,
            [(skinned_mesh_of(model, side=side), motion_of(model, angles[None], side=side))],
            in_camera_frame=False,
        )
    elif suffix == ".obj":
        skin = skinned_mesh_of(model, side=side)
        write_obj(path, posed.vertices, skin.faces, skin.uv, skin.faces_uv)
    else:
        around = np.concatenate([posed.joints - _PICTURE_MARGIN, posed.joints + _PICTURE_MARGIN])
        write_png(path, render_sheet(posed.vertices, faces, title=title, focus=around))


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an RGB or RGBA picture, atomically."""
    order = cv2.COLOR_RGB2BGR if image.shape[-1] == 3 else cv2.COLOR_RGBA2BGRA
    encoded = cv2.imencode(".png", cv2.cvtColor(image, order))[1]
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _fitted_hands(
    joints: Float[np.ndarray, "N 21 3"],
    side: Literal["left", "right"],
    model: HandModel,
    shape: Literal["free", "shared"],
) -> FittedHands:
    with warnings.catch_warnings():
        # Of hands that are far off; their errors are part of the result.
        warnings.simplefilter("ignore", UserWarning)
        fit = fit_human_hand(model, joints, side=side, shape=shape)
    return FittedHands(
        side=side,
        angles=fit.angles,
        angle_names=np.asarray(ANGLE_NAMES),
        shape=fit.shape,
        shape_names=np.asarray(model.shape_names),
        rotation=fit.T_camera_hand[:, :3, :3],
        translation=fit.T_camera_hand[:, :3, 3],
        joints=fit.joints,
        error_mm=1000 * fit.error,
    )


def _concatenated(parts: list[FittedHands]) -> FittedHands:
    """The frames of all parts, concatenated."""
    per_frame = ("angles", "shape", "rotation", "translation", "joints", "error_mm")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in per_frame})


def _resumable_frames(path: Path, key: str) -> list[FittedHands]:
    """The frames saved by an interrupted run on the same joints."""
    if not path.is_file():
        return []
    part = FittedHands.read_npz(path)
    return [replace(part, side=key.split()[0])] if part.side == key else []


def _fingerprint(joints: Float[np.ndarray, "N 21 3"], side: str) -> str:
    return f"{side} {hashlib.sha256(np.ascontiguousarray(joints).tobytes()).hexdigest()}"


def _side(name: str) -> Literal["left", "right"]:
    return "left" if name == "left" else "right"
