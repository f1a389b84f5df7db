"""Shards for tests: drawn hands that hold boxes with categories, with masks, without drawing by OpenGL."""

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np

from hand_pictures import drawn_samples
from knuckle.handmodel import ANGLE_NAMES
from knuckle.sample import Sample

CATEGORIES = ("cylinder", "bar", "cube", "sphere")


def held_samples(count: int, seed: int = 0, size: int = 128, categories=CATEGORIES) -> list[Sample]:
    """Drawn hands as `drawn_samples` has them, each behind an ellipse that is its object."""
    found = []
    for i, sample in enumerate(drawn_samples(count, seed, size)):
        uv = np.asarray(sample.joints_image)
        complete = np.zeros((size, size), np.uint8)
        for finger in range(5):
            chain = np.rint(uv[[0, *range(1 + 4 * finger, 5 + 4 * finger)]]).astype(np.int32)
            cv2.polylines(complete, [chain], False, 1, 7)
        covered = np.zeros((size, size), np.uint8)
        number = i % len(categories)
        centre = tuple(int(v) for v in np.rint(uv[[5, 9, 13, 17]].mean(0)))
        cv2.ellipse(covered, centre, (6 + 3 * number, 12), 0.0, 0, 360, 1, -1)
        image = np.array(sample.image)
        image[covered > 0] = 40 + 50 * number
        found.append(
            Sample(
                **{n: getattr(sample, n) for n in ("camera", "side", "joints_camera", "joints_image", "box")},
                image=image,
                visibility=np.array(
                    [covered[tuple(np.clip(np.rint(p[::-1]), 0, size - 1).astype(int))] == 0 for p in uv]
                ),
                mask_complete=complete > 0,
                mask_visible=(complete > 0) & (covered == 0),
                object_mask=covered > 0,
                object_category=categories[number],
            )
        )
    return found


def write_shard(folder: Path, samples: list[Sample]) -> str:
    """One shard of pictures with one hand each, in the form of `knuckle synth`; its folder as a data set."""
    folder.mkdir(parents=True)
    with tarfile.open(folder / "000000.tar", "w") as tar:
        for i, sample in enumerate(samples):
            visible = np.where(sample.object_mask, 201, np.where(sample.mask_visible, 1, 0)).astype(np.uint8)
            files = {
                "jpg": _encoded(".jpg", np.asarray(sample.image)[..., ::-1]),
                "visible.png": _encoded(".png", visible),
                "complete.png": _encoded(".png", sample.mask_complete.astype(np.uint8)),
                "json": json.dumps(_label(i, sample)).encode(),
            }
            for suffix, data in files.items():
                member = tarfile.TarInfo(f"{i:06d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return str(folder)


def _encoded(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _label(number: int, sample: Sample) -> dict:
    pose = np.eye(4)
    pose[:3, 3] = np.asarray(sample.joints_camera)[9]
    hand = {
        "number": 1,
        "side": sample.side,
        "joints_camera": np.asarray(sample.joints_camera).tolist(),
        "joints_image": np.asarray(sample.joints_image).tolist(),
        "visibility": np.asarray(sample.visibility).tolist(),
        "wrist_angles": [0.0, 0.0],
        "shape": [0.0] * 10,
        "angles": dict.fromkeys(ANGLE_NAMES, 0.2),
        "T_camera_hand": pose.tolist(),
        "box": np.asarray(sample.box).tolist(),
    }
    held = {"held_by": 1, "T_camera_object": pose.tolist(), "half": [0.02, 0.03, 0.04]}
    if sample.object_category is not None:
        held["category"] = sample.object_category
    size = list(sample.camera.size)
    return {"id": f"{number:06d}", "K": sample.camera.K.tolist(), "size": size, "hands": [hand], "objects": [held]}
