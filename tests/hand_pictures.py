"""Samples for tests of training: a drawn skeleton of the free hand, quick to make and learnable."""

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.geometry.rotation import rotation_about
from knuckle.handmodel import HandModel
from knuckle.sample import Sample
from knuckle.skeleton import BONES, BOX_CORNERS, BOX_EDGES


def drawn_samples(count: int, seed: int = 0, size: int = 128) -> list[Sample]:
    """Hands as coloured lines on grey."""
    rng, model = np.random.default_rng(seed), HandModel.open()
    camera = Camera.from_fov((size, size), 0.6)
    samples = []
    for i in range(count):
        side = "left" if i % 2 else "right"
        pose = np.eye(4)
        # Fingers up, palm to the camera: the hand's y is the picture's -y, its z looks back.
        turn = rotation_about(np.array([0.0, 0.0, 1.0]), np.array(rng.normal(0, 0.3)))
        pose[:3, :3] = turn @ np.diag([1.0, -1.0, -1.0])
        pose[:3, 3] = [rng.normal(0, 0.01), 0.09, rng.uniform(0.45, 0.6)]
        angles = rng.uniform(0.0, 0.5, 23)
        joints = np.asarray(model.joints(angles, T_camera_hand=pose, side=side))
        uv = camera.project(joints)
        picture = np.full((size, size, 3), 90, np.uint8)
        for parent, child in BONES:
            ends = [tuple(int(v) for v in np.rint(uv[j])) for j in (parent, child)]
            cv2.line(picture, ends[0], ends[1], (40 + 10 * child, 255 - 10 * child, 60 * (child % 4)), 3)
        low, high = uv.min(0), uv.max(0)
        samples.append(
            Sample(
                image=picture,
                camera=camera,
                side=side,
                joints_camera=joints,
                joints_image=uv,
                box=np.concatenate([low, high]),
            )
        )
    return samples


def held_samples(count: int, seed: int = 0, size: int = 128) -> list[Sample]:
    """`drawn_samples` of which each but the last holds a box across its palm, its edges drawn in yellow."""
    rng, found = np.random.default_rng(seed + 1), []
    for i, sample in enumerate(drawn_samples(count, seed, size)):
        if i == count - 1:
            found.append(sample)
            continue
        turn = rotation_about(np.array([0.0, 0.0, 1.0]), np.array(rng.normal(0, 0.3)))
        corners = np.array(BOX_CORNERS) * rng.uniform([0.1, 0.03, 0.02], [0.14, 0.05, 0.04]) @ turn.T
        corners = corners + sample.joints_camera[[0, 5, 9, 17]].mean(0) + [0.0, 0.0, -0.025]
        uv = np.rint(sample.camera.project(corners)).astype(int)
        picture = np.array(sample.image)
        for first, second in BOX_EDGES:
            cv2.line(picture, uv[first].tolist(), uv[second].tolist(), (250, 220, 20), 1)
        found.append(replace(sample, image=picture, object_corners_camera=corners, object_category="box"))
    return found


def write_truth(folder: Path, samples: list[Sample], grey: bool = False) -> str:
    """The samples as a folder that the reader "truth" reads; its name as a data set.

    Args:
        grey: leave the hands out of the pictures; the labels stay.
    """
    folder.mkdir(parents=True)
    entries = []
    for i, sample in enumerate(samples):
        picture = np.asarray(sample.image)
        picture = np.full_like(picture, 90) if grey else picture
        cv2.imwrite(str(folder / f"{i:04d}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        entry = {"image": f"{i:04d}.png", "side": sample.side}
        if sample.camera is not None:
            entry["K"] = np.asarray(sample.camera.K).tolist()
        if sample.object_category is not None:
            entry["object_category"] = sample.object_category
        for name in ("joints_camera", "joints_image", "object_corners_camera"):
            value = getattr(sample, name)
            if value is not None:
                entry[name] = np.asarray(value).tolist()
        entries.append(entry)
    (folder / "truth.json").write_text(json.dumps(entries))
    os.utime(folder / "truth.json", ns=(0, 0))
    return f"truth:{folder}"
