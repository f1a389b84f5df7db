"""Masks of hands in pictures: from what a network says of crops, else from the meshes of the hands found."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.handmodel import HandModel
from knuckle.image.cut import invert_affine
from knuckle.sample import Hand, HandMasks
from knuckle.view.raster import rasterise


def masks_in_picture(
    outputs: Mapping[str, np.ndarray], affine: np.ndarray, crop: int, size: tuple[int, int]
) -> HandMasks | None:
    """A crop's masks as masks of its picture; None where the network gives none.

    Args:
        outputs: of the network for one crop: `mask` and `mask_complete` (h, w) probabilities, if it has them.
        affine: (2, 3) from pixels of the picture to those of the crop.
        crop: pixels along one side of the crop, which the cells of a mask divide.
        size: (width, height) of the picture. What lies outside of the crop shows no hand.
    """
    found = {}
    for name, field in (("mask", "visible"), ("mask_complete", "complete")):
        if name in outputs:
            cells = outputs[name].astype(np.float32)
            # From pixels of the crop to cells, the centres of both at integers.
            scale = np.array([cells.shape[1], cells.shape[0]]) / crop
            to_cells = scale[:, None] * affine + np.array([[0, 0, 0.5], [0, 0, 0.5]]) * scale[:, None]
            to_cells[:, 2] -= 0.5
            back = invert_affine(to_cells)
            found[field] = cv2.warpAffine(cells, back, size, flags=cv2.INTER_LINEAR, borderValue=(0.0,)) > 0.5
    return HandMasks(**found) if found else None


def hand_masks(hands: Sequence[Hand], model: HandModel, size: tuple[int, int]) -> list[HandMasks]:
    """Masks of all hands of a picture: their networks' where they have them, else those of their meshes.

    A mesh covers its whole outline; visible is what no nearer hand's mesh covers. Objects are not known to meshes.

    Args:
        hands: of one picture, in the frame of its camera.
        model: that their meshes are of.
        size: (width, height) of the picture.

    Returns:
        Both masks for each hand; where a network gives one alone, both are that.
    """
    depths = [_depths(hand, model, size) if hand.masks is None else None for hand in hands]
    found = []
    for i, (hand, depth) in enumerate(zip(hands, depths, strict=True)):
        if depth is None:
            assert hand.masks is not None
            found.append(hand.masks)
            continue
        others = [other for j, other in enumerate(depths) if j != i and other is not None]
        nearer = np.any([other < depth for other in others], axis=0) if others else np.zeros(depth.shape, bool)
        complete = np.isfinite(depth)
        found.append(HandMasks(complete & ~nearer, complete))
    return [HandMasks(_either(m.visible, m.complete), _either(m.complete, m.visible)) for m in found]


def _either(mask: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    return other if mask is None else mask


def _depths(hand: Hand, model: HandModel, size: tuple[int, int]) -> np.ndarray:
    """(H, W) metres to the hand's mesh; infinite where it is not. Without a mesh, of the model posed as the hand."""
    vertices = hand.vertices_camera
    if vertices is None:
        posed = model(list(hand.angles.values()), shape=hand.shape, T_camera_hand=hand.T_camera_hand, side=hand.side)
        vertices = np.asarray(posed.vertices)
    camera: Camera = hand.camera
    depth = np.full((size[1], size[0]), np.inf)
    seen = rasterise(camera.project(vertices), vertices[:, 2], np.asarray(model.faces_of(hand.side)), size)
    depth[seen.rows, seen.columns] = seen.depth
    return depth
