"""A contact sheet of rendered pictures with their labels drawn on them."""

import math
import os
from collections.abc import Sequence

import cv2
import numpy as np

from knuckle.files import open_folder
from knuckle.skeleton import BOX_CORNERS
from knuckle.synth.generate import Generator, Picture, Settings
from knuckle.view import draw_box, draw_skeleton

_TILE = 256
_BLANK = 255
_BOX_COLOUR = (255, 220, 60)
_MASK_COLOURS = np.array([(0, 0, 0), (70, 200, 90), (80, 140, 255), (255, 110, 180), (250, 190, 60)], np.uint8)
_FOREARM_COLOUR, _OBJECT_COLOUR = (60, 90, 70), (220, 60, 50)


def contact_sheet(pictures: Sequence[Picture], columns: int = 8) -> np.ndarray:
    """The pictures in rows; below each, the same picture with its labels drawn on it, and its masks.

    Args:
        pictures: one or more. columns: at most so many pictures per row; fewer where rows would be less full.

    Returns:
        (H, W, 3) uint8 RGB; 256 px per tile.

    Raises:
        ValueError: there are no pictures.
    """
    if not pictures:
        raise ValueError("pictures must be at least one but got none; render some first")
    blank = np.full((3 * _TILE, _TILE, 3), _BLANK, np.uint8)
    tiles = [np.vstack([_tile(picture.image), labelled(picture), _tile(_masks(picture))]) for picture in pictures]
    rows = math.ceil(len(tiles) / columns)
    width = math.ceil(len(tiles) / rows)
    tiles += [blank] * (rows * width - len(tiles))
    return np.vstack([np.hstack(tiles[i : i + width]) for i in range(0, len(tiles), width)])


def write_sheet(out: str | os.PathLike[str], settings: Settings, images: int) -> str:
    """Renders the first pictures of a set and writes their contact sheet.

    Args:
        out: the folder, or the URL of one. settings: what to render. images: how many.

    Returns:
        Where the sheet is, out/sheet.png.
    """
    generator = Generator(settings)
    sheet = contact_sheet([generator.picture(i) for i in range(images)], columns=8 if images <= 16 else 16)
    generator.close()
    done, data = cv2.imencode(".png", sheet[..., ::-1])
    if not done:
        raise RuntimeError(f"OpenCV could not encode a picture of shape {sheet.shape} as .png")
    folder = open_folder(out)
    folder.write("sheet.png", data.tobytes())
    return f"{folder}/sheet.png"


def labelled(picture: Picture) -> np.ndarray:
    """The picture (256, 256, 3) with box, joints, side, pose and view of each hand; occluded joints are faint."""
    scale = _TILE / max(picture.image.shape[:2])
    drawn = _tile(picture.image)
    for hand in picture.label["hands"]:
        corners = np.rint(np.array(hand["box"]).reshape(2, 2) * scale).astype(int)
        cv2.rectangle(drawn, tuple(map(int, corners[0])), tuple(map(int, corners[1])), _BOX_COLOUR, 1)
        uncertainty_mm = np.where(np.array(hand["visibility"], bool), 0.0, 12.0)
        # Pixel centres are at integers: scaling keeps the picture's edge, at -0.5, fixed.
        uv = (np.array(hand["joints_image"]) + 0.5) * scale - 0.5
        drawn = draw_skeleton(drawn, uv, uncertainty_mm, thickness=1.5)
    for held in picture.label["objects"]:
        pose, corners = np.array(held["T_camera_object"]), 2 * np.array(held["half"]) * np.array(BOX_CORNERS)
        uvw = (corners @ pose[:3, :3].T + pose[:3, 3]) @ np.array(picture.label["K"]).T
        drawn = draw_box(drawn, (uvw[:, :2] / uvw[:, 2:] + 0.5) * scale - 0.5)
    for row, hand in enumerate(picture.label["hands"]):
        text = f"{hand['side']} {hand['pose']} {hand['view']}"
        for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(drawn, text, (5, 15 + 16 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
    return drawn


def _tile(image: np.ndarray) -> np.ndarray:
    """The picture at 256 px along its longer side, on black."""
    scale = _TILE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.zeros((_TILE, _TILE, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small[:_TILE, :_TILE]
    return tile


def _masks(picture: Picture) -> np.ndarray:
    """The visible mask in full colour, the occluded part of each hand at half intensity."""
    number = picture.visible.astype(int)
    colours = _MASK_COLOURS[np.where(number <= 4, number, 0)].copy()
    colours[(number > 100) & (number < 200)] = _FOREARM_COLOUR
    colours[number > 200] = _OBJECT_COLOUR
    for hand in range(4):
        hidden = ((picture.complete >> hand) & 1 == 1) & (number != hand + 1)
        colours[hidden] = colours[hidden] // 2 + _MASK_COLOURS[hand + 1] // 2
    return colours
