"""Draws the pictures at the top of README.md: generated pictures, with the hands that are found in them.

python tools/draw_readme.py [FOLDER]     docs/pictures/found.jpg and docs/pictures/grasp.webp

The pictures were chosen. The tool compares what is found with the labels and fails where a hand is missed, taken for
the other side, or more than a tenth of its size off. Needs EGL and Pillow.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from knuckle import Camera, Hand, Hands, Predictor, VideoPredictor
from knuckle.geometry.rotation import rotation_about
from knuckle.predict.video import Frame
from knuckle.synth import Generator, Settings
from knuckle.synth.generate import Picture
from knuckle.view import blend, render_mesh

# Preset, size, seed and index of `knuckle synth`; in rows of four.
CHOSEN = (
    ("people", 512, 41, 48),
    ("people", 512, 41, 32),
    ("detector", 512, 43, 18),
    ("detector", 512, 43, 47),
    ("grasp", 384, 45, 45),
    ("grasp", 384, 62, 45),
    ("two-hands", 384, 42, 7),
    ("two-hands", 384, 42, 31),
)
TILE, COLUMNS = 320, 4
# The sequence of the animation: every second one of its 60 frames, 30 of which are a second.
ANIMATED = ("grasp", 384, 49)
FRAMES, STEP, FRAMES_PER_SECOND = 60, 2, 30
TURN = np.radians(65.0)  # of the view beside it, about the vertical
FOCAL = 1.9  # of that view, in sides of the picture: the hand fills it
BACKGROUND = (238, 240, 243)


def drawn(settings: tuple[str, int, int], indices: list[int]) -> Iterator[Picture]:
    """The pictures of a preset, size and seed with these indices."""
    generator = Generator(Settings(*settings))
    try:
        yield from map(generator.picture, indices)
    finally:
        generator.close()


def check(label: dict[str, Any], hands: list[Hand]) -> None:
    """Raises ValueError unless each labelled hand was found, of its side, and no other."""
    name = label["id"]
    if len(hands) != len(label["hands"]):
        raise ValueError(f"{name} must show {len(label['hands'])} hands but {len(hands)} were found; choose another")
    for true in label["hands"]:
        uv = np.array(true["joints_image"])
        off = {np.linalg.norm(h.joints_image - uv, axis=1).mean() / np.ptp(uv, axis=0).max(): h for h in hands}
        nearest = min(off)
        if nearest > 0.1 or off[nearest].side != true["side"]:
            raise ValueError(
                f"the {true['side']} hand {true['number']} of {name} must be found but the nearest is a "
                f"{off[nearest].side} one, {nearest:.2f} of its size off; choose another"
            )


def sheet(predictor: Predictor) -> np.ndarray:
    """The chosen pictures with their hands, in rows of COLUMNS; (H, W, 3) uint8 RGB."""
    tiles = []
    for settings, group in groupby(CHOSEN, key=lambda chosen: chosen[:3]):
        for picture in drawn(settings, [chosen[3] for chosen in group]):
            hands = predictor(picture.image, check_channels=False)
            check(picture.label, hands)
            tiles.append(cv2.resize(hands.draw(picture.image), (TILE, TILE), interpolation=cv2.INTER_AREA))
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def from_the_side(hand: Hand, size: int) -> np.ndarray:
    """The hand's mesh as a camera beside it sees it; (size, size, 3) uint8 RGB."""
    assert hand.vertices_camera is not None
    middle = hand.joints_camera.mean(axis=0)
    distance = np.linalg.norm(middle)
    centre = (size - 1) / 2
    camera = Camera(np.array([[FOCAL * size, 0, centre], [0, FOCAL * size, centre], [0, 0, 1.0]]), (size, size))
    turn = rotation_about(np.array([0.0, 1.0, 0.0]), np.asarray(TURN))
    vertices = (hand.vertices_camera - middle) @ np.asarray(turn).T + [0.0, 0.0, distance]
    tile = np.full((size, size, 3), BACKGROUND, np.uint8)
    return blend(tile, render_mesh(vertices, hand.faces, camera), 1.0)


def animation(predictor: Predictor) -> list[Image.Image]:
    """A tracked hand that takes a thing: frames of the video, and its mesh from the side."""
    pictures = list(drawn(ANIMATED, list(range(0, FRAMES, STEP))))
    frames = [
        Frame(picture.image, time=STEP * number / FRAMES_PER_SECOND) for number, picture in enumerate(pictures, start=1)
    ]
    images = []
    for picture, hands in zip(pictures, VideoPredictor(predictor).over(frames), strict=True):
        check(picture.label, hands)
        left = cv2.resize(Hands(hands).draw(picture.image), (TILE, TILE), interpolation=cv2.INTER_AREA)
        images.append(Image.fromarray(np.hstack([left, from_the_side(hands[0], TILE)])))
    return images


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/pictures"))
    folder = parser.parse_args().folder
    predictor = Predictor()
    still, moving = folder / "found.jpg", folder / "grasp.webp"
    Image.fromarray(sheet(predictor)).save(still, quality=88)
    # There and back again.
    images = animation(predictor)
    images += images[-2:0:-1]
    images[0].save(
        moving, save_all=True, append_images=images[1:], duration=1000 * STEP // FRAMES_PER_SECOND, loop=0, quality=70
    )
    for path in (still, moving):
        print(f"wrote {path} ({path.stat().st_size / 1e3:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
