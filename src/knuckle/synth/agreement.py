"""What a label alone says that its picture shows: the hand and the object rendered again from it, on the CPU.

An independent way from labels to masks, to check that masks, labels and the order in depth agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.synth.things import Thing
from knuckle.view.raster import rasterise

HAND, HELD = 1, 201  # values of `visible` of the first hand and what it holds


@dataclass(frozen=True)
class Agreement:
    """How well a picture's masks agree with its label.

    Attributes:
        hand: intersection over union of the complete hand's mask, without its forearm.
        order: share of the pixels that show the hand or the object of which the label says the same.
    """

    hand: float
    order: float


def agreement(
    label: Mapping[str, Any], visible: np.ndarray, complete: np.ndarray, model: HandModel, things: Mapping[str, Thing]
) -> Agreement:
    """Compares the masks (height, width) of a picture with one hand and its object to what the label implies.

    Args:
        label: of the picture, as it is in a shard. visible, complete: its masks.
        model: the free hand. things: the objects by name.
    """
    size, K = (int(label["size"][0]), int(label["size"][1])), np.asarray(label["K"])
    hand = label["hands"][0]
    posed = model(
        np.array([hand["angles"][name] for name in ANGLE_NAMES]),
        wrist_angles=np.asarray(hand["wrist_angles"]),
        shape=np.asarray(hand["shape"]),
        T_camera_hand=np.asarray(hand["T_camera_hand"]),
        side=hand["side"],
    )
    # The forearm begins where its bone has the largest weight.
    arm = (np.asarray(model.weights).argmax(1) == model.weights.shape[1] - 1)[np.asarray(model.faces)].sum(1) > 1
    alone = _rendered(np.asarray(posed.vertices), np.asarray(model.faces), np.where(arm, 101, HAND), K, size)
    seen_hand = (complete & 1) > 0
    union = np.count_nonzero(seen_hand | (alone == HAND))
    parts, numbers, count = [np.asarray(posed.vertices)], [np.asarray(model.faces)], len(posed.vertices)
    values = [np.where(arm, 101, HAND)]
    for held in label["objects"]:
        T = np.asarray(held["T_camera_object"])
        # A left hand's object is mirrored in z.
        mirror = np.array([1.0, 1.0, -1.0]) if hand["side"] == "left" else np.ones(3)
        for shape in things[held["name"]].shapes:
            parts.append(shape.vertices * mirror @ T[:3, :3].T + T[:3, 3])
            numbers.append(shape.faces + count)
            values.append(np.full(len(shape.faces), HELD))
            count += len(shape.vertices)
    together = _rendered(np.concatenate(parts), np.concatenate(numbers), np.concatenate(values), K, size)
    shown = ((visible == HAND) | (visible == HELD)) & (together > 0)
    return Agreement(
        hand=np.count_nonzero(seen_hand & (alone == HAND)) / max(union, 1),
        order=float((visible == together)[shown].mean()) if shown.any() else 1.0,
    )


def _rendered(
    vertices: np.ndarray, faces: np.ndarray, values: np.ndarray, K: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The value of the nearest face at each pixel (height, width), 0 for none."""
    uvw = vertices @ K.T
    seen = rasterise(uvw[:, :2] / uvw[:, 2:], vertices[:, 2], faces, size)
    picture = np.zeros(size[::-1], int)
    picture[seen.rows, seen.columns] = values[seen.face]
    return picture
