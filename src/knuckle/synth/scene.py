"""The content of one picture as plain data, in the camera frame, in metres."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from knuckle.synth.light import Light
from knuckle.synth.skin import SkinAppearance


@dataclass(frozen=True)
class Material:
    """Surface of anything but a hand; colours are linear RGB.

    pattern: 0 plain, 1 blotches, 2 stripes, 3 checks, 4 fabric, 5 a face, 6 wood, 7 print, 8 the skin of a fruit,
    9 plain and smooth, 10 metal.
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
    half_extents (3,) of its box in that frame, metres; None otherwise. Of an object of several solids one has the pose.
    about: more entries of its label.
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
    about: Mapping[str, Any] = field(default_factory=dict)


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
class Look:
    """What a person's body looks like. Places are on the average adult (metres: y up), colours linear RGB.

    skin: as of the hands. hair_colour; hairline: (4,) in front, at the side, the hair's lower end behind and at the
    sides; hair_thickness: metres, 0 for none; hat: worn instead of hair.
    beard, stubble, brows, lips: strengths, 0 to 1. glasses: 0 none, 1 clear, 2 dark. mask: over the mouth.
    iris; gaze: metres to the side. extra_colour: of glasses, mask and print.
    shirt: with its thickness off the skin, the depth of its folds, where its sleeves end along the arm (0 shoulder,
    1 elbow, 2 wrist), its neck (depth, half width), its hem, and whether something is printed on it.
    trousers: with thickness, and (waist, hem, end of the shoes); bare_legs: below the hem. shoes: colour.
    """

    skin: SkinAppearance
    hair_colour: np.ndarray
    hairline: np.ndarray
    hair_thickness: float
    hat: Material | None
    beard: float
    stubble: float
    brows: float
    lips: float
    glasses: int
    mask: bool
    iris: np.ndarray
    gaze: float
    extra_colour: np.ndarray
    shirt: Material
    shirt_thickness: float
    shirt_folds: float
    sleeve: float
    neck: tuple[float, float]
    hem: float
    printed: bool
    trousers: Material
    trousers_thickness: float
    trousers_ends: tuple[float, float, float]
    bare_legs: bool
    shoes: np.ndarray


@dataclass(frozen=True)
class SceneBody:
    """A person without hands, posed: vertices (V, 3) and unit normals (V, 3) of body.BodyModel, camera frame; and the
    same vertices (V, 3) where a shirt hangs.

    hands: indices of the person's right and left hand in the scene, None for one that is not in it: its arm ends at the
    wrist. forearm: metres from elbow to wrist. arms_only: nothing but the arms of these hands is drawn.
    """

    vertices: np.ndarray
    shirt: np.ndarray
    normals: np.ndarray
    look: Look
    hands: tuple[int | None, int | None]
    forearm: float
    arms_only: bool = False


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
    bodies: tuple[SceneBody, ...] = ()
    motion: tuple[float, float] = (0.0, 0.0)
    notes: dict[str, str] = field(default_factory=dict)


def mirror_of(side: str) -> np.ndarray:
    """(3,) what the coordinates of a right hand at rest are multiplied by for one of this side."""
    return np.array([-1.0, 1.0, 1.0]) if side == "left" else np.ones(3)
