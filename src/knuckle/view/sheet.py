"""A hand from several views in one picture, for visual inspection."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from knuckle.camera import Camera
from knuckle.view.bones import draw_skeleton
from knuckle.view.mesh import SKIN, blend, render_mesh

# Rows are the camera's x, y, z axes in the hand frame (x to the thumb, y to the fingers, z out of the palm, for the
# right hand): "palm" views the palm with the fingers up, "fingertips" views the hand along its fingers, and so on.
VIEWS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "palm": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "back": ((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "thumb side": ((0, 0, -1), (0, -1, 0), (-1, 0, 0)),
    "little side": ((0, 0, 1), (0, -1, 0), (1, 0, 0)),
    "fingertips": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "wrist": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
}
FOUR_SIDES = ("palm", "back", "thumb side", "fingertips")
_BACKGROUND = (238, 240, 243)


def view_camera(
    points: Float[np.ndarray, "N 3"], view: str, size: int, *, distance: float = 4.0
) -> tuple[Float[np.ndarray, "4 4"], Camera]:
    """A camera with all the points in view, from a named side.

    Args:
        points: (N, 3) in the hand frame, metres.
        view: a key of `VIEWS`.
        size: width and height of the picture, pixels.
        distance: of the camera from the centre, in radii of the points' bounding sphere; larger is less perspective.

    Returns:
        (T_camera_hand, camera): the pose (4, 4) to move the points into the camera frame with, and the camera.

    Raises:
        ValueError: an unknown view, or no points.
    """
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)} but got {view!r}")
    if len(points) == 0:
        raise ValueError("points must hold at least one point but got none; there is nothing to view")
    rotation = np.asarray(VIEWS[view], np.float64)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = max(float(np.linalg.norm(points - middle, axis=-1).max()), 1e-9)
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = np.asarray([0, 0, distance * radius]) - rotation @ middle
    # The sphere's outline is at an angle of asin(1 / distance) from the axis; this leaves a margin of 4 %.
    focal = 0.48 * size * np.sqrt(distance**2 - 1)
    centre = (size - 1) / 2
    K = np.asarray([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]])
    return pose, Camera(K, (size, size))


def render_view(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    view: str = "palm",
    size: int = 512,
    *,
    colors: Float[np.ndarray, "N 3"] | tuple[float, float, float] = SKIN,
    focus: Float[np.ndarray, "M 3"] | None = None,
) -> UInt8[np.ndarray, "size size 4"]:
    """Render a mesh in the hand frame from a named view of `VIEWS`; RGBA as from `render_mesh`.

    `focus` gives the points that fill the picture (such as the joints, to crop most of the forearm); None: all.
    """
    pose, camera = view_camera(vertices if focus is None else focus, view, size)
    return render_mesh(vertices @ pose[:3, :3].T + pose[:3, 3], faces, camera, colors=colors)


def render_sheet(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    size: int = 384,
    *,
    views: tuple[str, ...] = FOUR_SIDES,
    title: str = "",
    colors: Float[np.ndarray, "N 3"] | tuple[float, float, float] = SKIN,
    joints: Float[np.ndarray, "21 3"] | None = None,
    focus: Float[np.ndarray, "M 3"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Render a mesh from several views, side by side.

    Args:
        vertices: (V, 3) in the hand frame, metres.
        faces: (F, 3), wound outwards.
        size: width and height of each view, pixels.
        views: keys of `VIEWS`, left to right.
        title: written in the corner of the first view, before the view's name.
        colors: as in `render_mesh`.
        joints: (21, 3) in the hand frame: drawn as a skeleton over a semi-transparent mesh.
        focus: the points that fill the picture; None takes all vertices.

    Returns:
        (size, len(views) * size, 3) uint8 RGB.
    """
    tiles = []
    for view in views:
        pose, camera = view_camera(vertices if focus is None else focus, view, size)
        picture = render_mesh(vertices @ pose[:3, :3].T + pose[:3, 3], faces, camera, colors=colors)
        tile = np.full((size, size, 3), _BACKGROUND, np.uint8)
        tile = blend(tile, picture, 1.0 if joints is None else 0.55)
        if joints is not None:
            tile = draw_skeleton(tile, np.asarray(camera.project(joints @ pose[:3, :3].T + pose[:3, 3])))
        tiles.append(write_label(tile, view))
    if title:
        tiles[0] = write_label(tiles[0], title, row=1)
    return np.concatenate(tiles, axis=1)


def write_label(image: UInt8[np.ndarray, "h w 3"], text: str, row: int = 0) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of the picture with a small dark line of text in its upper left corner, `row` lines down."""
    labelled = np.ascontiguousarray(image).copy()
    cv2.putText(labelled, text, (8, 18 + 18 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA)
    return labelled
