"""The content of one picture as plain data, in the camera frame, in metres."""

from dataclasses import dataclass, field

import numpy as np

from knuckle.synth.light import Light
from knuckle.synth.skin import SkinAppearance


@dataclass(frozen=True)
class Material:
    """Surface of anything but a hand; colours are linear RGB.

    pattern: 0 plain, 1 blotches, 2 stripes, 3 checks, 4 fabric, 5 a face.
    """

    colour: tuple[float, float, float]
    second_colour: tuple[float, float, float]
    pattern: int = 0
    scale: float = 60.0  # pattern repeats per metre
    roughness: float = 0.5
    specular: float = 0.5


@dataclass(frozen=True)
class Solid:
    """Anything but a hand: vertices (N, 3), unit normals (N, 3), faces (F, 3), local (N, 3) vertices in the solid's own
    frame (metres, for its pattern); rendered from both sides.

    forearm_of: index of the hand whose sleeve or watch it is, None otherwise.
    held_by: index of the hand that holds it, with its pose T_camera_object (4, 4), x along its longest axis, and
    half_extents (3,) of its box in that frame, metres; None otherwise.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    local: np.ndarray
    material: Material
    forearm_of: int | None = None
    held_by: int | None = None
    T_camera_object: np.ndarray | None = None
    half_extents: np.ndarray | None = None


@dataclass(frozen=True)
class SceneHand:
    """One hand: its pose parameters and the posed result.

    angles (23,), wrist_angles (2,), shape (10,), T_camera_hand (4, 4), joints_camera (21, 3),
    vertices_camera (V, 3); side is "left" or "right"; pose and view are the kinds that were sampled.
    """

    side: str
    angles: np.ndarray
    wrist_angles: np.ndarray
    shape: np.ndarray
    T_camera_hand: np.ndarray
    joints_camera: np.ndarray
    vertices_camera: np.ndarray
    skin: SkinAppearance
    pose: str
    view: str


@dataclass(frozen=True)
class Scene:
    """Everything needed to render one picture. K: (3, 3), pixel centres at integers; size: (width, height);
    background: (height, width, 3) uint8 sRGB; motion: (2,) way of everything but the background while the shutter is
    open, px of 256, its middle at the labels."""

    K: np.ndarray
    size: tuple[int, int]
    hands: tuple[SceneHand, ...]
    solids: tuple[Solid, ...]
    light: Light
    exposure: float
    background: np.ndarray
    cast_shadow: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # strength, shift x, y, blur (px of 256)
    motion: tuple[float, float] = (0.0, 0.0)
    notes: dict[str, str] = field(default_factory=dict)
