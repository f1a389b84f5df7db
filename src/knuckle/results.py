"""What can be done with hands that were found: draw them, write them to files, make tables of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from knuckle.camera import Camera
from knuckle.export.glb import Box, write_glb
from knuckle.export.hand import motion_of, skinned_mesh_of
from knuckle.export.obj import write_obj
from knuckle.files import InputError, atomic_write, load_json
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.sample import Hand, Hands, HeldObject
from knuckle.skeleton import JOINT_NAMES
from knuckle.view.bones import draw_box, draw_contacts, draw_skeleton
from knuckle.view.mesh import overlay_mesh

if TYPE_CHECKING:
    import pandas

SUFFIXES = (".glb", ".obj", ".json", ".npz")
_MAX_BYTES = 2**24
# From the camera's frame, y down and z forward, to y up and z towards the viewer, as viewers of meshes have it.
_UPRIGHT = np.array([1.0, -1.0, -1.0])
_FRAME_COLUMNS = ("id", "side", "score", "plausibility", "gesture", "box_x0", "box_y0", "box_x1", "box_y1")


def draw_hands(
    image: UInt8[np.ndarray, "h w 3"], hands: Sequence[Hand], mesh: bool = True
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of the picture with the hands' skeletons, held objects' boxes and contacts, the nearest hand last.

    Args:
        image: (H, W, 3) uint8 RGB.
        hands: found in it.
        mesh: also the meshes, below the skeletons.

    Raises:
        ValueError: the picture is not of the size that the hands' camera has.
    """
    size = (image.shape[1], image.shape[0])
    for hand in sorted(hands, key=lambda h: -h.joints_camera[:, 2].mean()):
        if hand.camera.size not in (None, size):
            raise ValueError(
                f"image must be the {hand.camera.size} one in which the hand was found but is {size}; do not resize it"
            )
        if mesh:
            image = overlay_mesh(image, vertices_of(hand), hand.faces, hand.camera, alpha=0.45)
        image = draw_skeleton(image, hand.joints_image)
        if hand.object is not None and hand.object.corners_camera is not None:
            image = draw_box(image, hand.camera.project(hand.object.corners_camera))
            if hand.object.contacts_camera:
                image = draw_contacts(image, hand.camera.project(np.array(list(hand.object.contacts_camera.values()))))
    return image.copy() if not hands else image


def vertices_of(hand: Hand) -> Float[np.ndarray, "V 3"]:
    """The hand's mesh, metres, camera frame; posed again where the hand was read from a file that has none."""
    if hand.vertices_camera is not None:
        return hand.vertices_camera
    posed = _model()(np.asarray(hand.angles), shape=hand.shape, T_camera_hand=hand.T_camera_hand, side=hand.side)
    return np.asarray(posed.vertices)


def save_hands(hands: Sequence[Hand], path: Path | str) -> Path:
    """Write hands to one file, atomically; see `Hands.save`."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path} must end in one of {', '.join(SUFFIXES)}; the suffix selects the format (`knuckle predict --save` "
            "has more)"
        )
    if suffix in (".glb", ".obj") and not hands:
        raise ValueError(f"{path} must hold a hand but there is none to write; test `if hands:` first")
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".glb":
        write_glb(path, [_skinned(hand, place) for place, hand in enumerate(hands)], boxes_of(hands))
    elif suffix == ".obj":
        _write_obj(hands, path)
    elif suffix == ".json":
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(_to_json(hands), allow_nan=False) + "\n", encoding="ascii")
    else:
        arrays = hand_arrays(hands)
        with atomic_write(path) as unfinished:
            np.savez(unfinished, allow_pickle=False, **arrays)
    return path


def load_hands(path: Path | str) -> Hands:
    """The hands in a .json file of one picture; see `Hands.load`."""
    data = load_json(path, _MAX_BYTES)
    try:
        if not isinstance(data, Mapping) or not isinstance(data["hands"], list):
            raise ValueError("it holds no list of hands")
        if not data["hands"]:
            return Hands()
        fx, fy, cx, cy = (float(data["camera"][name]) for name in ("fx", "fy", "cx", "cy"))
        width, height = data["size"]
        camera = Camera.from_intrinsics(fx, fy, cx, cy, (width, height))
        return Hands(Hand.from_json(hand, camera) for hand in data["hands"])
    except KeyError as error:
        raise InputError(f"{path} must be JSON that `Hands.save` wrote but lacks {error}; save it again") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} must be JSON that `Hands.save` wrote but cannot be used: {error}") from None


def hand_arrays(hands: Sequence[Hand]) -> dict[str, np.ndarray]:
    """Every number of the hands as arrays with a row for each hand, as .npz files hold them; see docs/results.md."""
    arrays = {
        "joints_camera": _stacked(hands, "joints_camera", (21, 3)),
        "joints_image": _stacked(hands, "joints_image", (21, 2)),
        "joints_network": np.array([_or_nan(h.joints_network, (21, 3)) for h in hands]).reshape(-1, 21, 3),
        "joint_uncertainty_mm": _stacked(hands, "joint_uncertainty_mm", (21,)),
        "shape": _stacked(hands, "shape", (10,)),
        "T_camera_hand": _stacked(hands, "T_camera_hand", (4, 4)),
        "box": _stacked(hands, "box", (4,)),
        "angles": np.array([np.asarray(h.angles) for h in hands]).reshape(-1, 23),
        "left": np.array([h.side == "left" for h in hands], bool),
        "score": np.array([h.score for h in hands], float),
        "plausibility": np.array([h.plausibility for h in hands], float),
    }
    return arrays | _object_arrays([h.object for h in hands])


def to_frame(hands: Sequence[Hand]) -> "pandas.DataFrame":
    """A pandas table with a row for each hand; see `Hands.to_frame`."""
    try:
        import pandas
    except ModuleNotFoundError:
        raise ModuleNotFoundError("to_frame requires pandas; install it with `pip install 'knuckle[table]'`") from None
    columns = [
        *_FRAME_COLUMNS,
        *(f"{joint}_{axis}" for joint in JOINT_NAMES for axis in "xyz"),
        *(f"{joint}_{axis}" for joint in JOINT_NAMES for axis in "uv"),
        *(f"{joint}_uncertainty_mm" for joint in JOINT_NAMES),
        *ANGLE_NAMES,
    ]
    return pandas.DataFrame([_row(hand) for hand in hands], columns=columns)


def _row(hand: Hand) -> list[Any]:
    return [
        *(hand.id, hand.side, float(hand.score), float(hand.plausibility), hand.gesture),
        *hand.box.tolist(),
        *hand.joints_camera.ravel().tolist(),
        *hand.joints_image.ravel().tolist(),
        *hand.joint_uncertainty_mm.tolist(),
        *hand.angles.values(),
    ]


def boxes_of(hands: Sequence[Hand]) -> list[Box]:
    """The boxes of what the hands hold, with the points where they touch it, for `write_glb`."""
    held = [hand.object for hand in hands if hand.object is not None]
    return [
        Box(o.corners_camera, np.reshape(list(o.contacts_camera.values()), (-1, 3)))
        for o in held
        if o.corners_camera is not None
    ]


@cache
def _model() -> HandModel:
    return HandModel.open()


def _skinned(hand: Hand, place: int) -> tuple[Any, Any]:
    number = place if hand.id is None else hand.id
    mesh = replace(skinned_mesh_of(_model(), hand.shape, hand.side), name=f"{hand.side}_hand_{number}")
    T = hand.T_camera_hand[None]
    return mesh, motion_of(_model(), np.asarray(hand.angles)[None], T[:, :3, :3], T[:, :3, 3], hand.side)


def _write_obj(hands: Sequence[Hand], path: Path) -> None:
    """One mesh of all hands, upright."""
    points = [vertices_of(hand) * _UPRIGHT for hand in hands]
    starts = np.cumsum([0, *map(len, points)])
    faces = [hand.faces + start for hand, start in zip(hands, starts[:-1], strict=True)]
    write_obj(path, np.concatenate(points), np.concatenate(faces))


def _to_json(hands: Sequence[Hand]) -> dict[str, Any]:
    """Size and camera of the picture, and its hands; both are null where there is no hand to tell them."""
    if not hands:
        return {"size": None, "camera": None, "hands": []}
    camera = hands[0].camera
    K = np.asarray(camera.K)
    numbers = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    return {
        "size": None if camera.size is None else list(camera.size),
        "camera": {name: round(float(value), 4) for name, value in numbers.items()},
        "hands": [hand.to_json() for hand in hands],
    }


def _stacked(hands: Sequence[Hand], name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack([getattr(h, name) for h in hands]) if hands else np.zeros((0, *shape))


def _or_nan(value: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan) if value is None else value


def _object_arrays(objects: Sequence[HeldObject | None]) -> dict[str, np.ndarray]:
    """NaN and an empty name stand for what is missing."""

    def stacked(name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = [None if held is None else getattr(held, name) for held in objects]
        return np.array([np.full(shape, np.nan) if v is None else v for v in values], float).reshape(-1, *shape)

    return {
        "object_corners_camera": stacked("corners_camera", (8, 3)),
        "T_camera_object": stacked("T_camera_object", (4, 4)),
        "object_category": np.array([(held and held.category) or "" for held in objects], str),
        "object_category_probability": stacked("category_probability", ()),
        "object_probability": stacked("probability", ()),
        "object_corner_uncertainty_mm": stacked("corner_uncertainty_mm", (8,)),
    }
