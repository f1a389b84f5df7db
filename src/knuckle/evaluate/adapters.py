"""Adapters for the JSON of other programs, to hands in the common joint order, axes and units.

Every adapter takes the content of one file for one picture and returns its hands. Joint orders: MediaPipe, OpenPose
and MMPose's hand models share the common one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from knuckle.datasets.layout import BrokenDataset
from knuckle.files import number_array
from knuckle.skeleton import to_common

Side = Literal["left", "right"]


@dataclass(frozen=True)
class PredictedHand:
    """One predicted hand of a picture; None for what the file does not hold.

    joints: (21, 3) metres, common order, axes x right, y down, z forward. joints_image: (21, 2) pixels of the picture.
    vertices: (V, 3) like joints. corners: (8, 3) like joints, of the held object's box, in the order of
    skeleton.BOX_CORNERS. score: for choosing among several.
    """

    side: Side | None = None
    score: float = 0.0
    joints: np.ndarray | None = None
    joints_image: np.ndarray | None = None
    vertices: np.ndarray | None = None
    corners: np.ndarray | None = None


SizeOf = Callable[[], tuple[int, int]]


def knuckle_hands(data: Any, size: SizeOf) -> list[PredictedHand]:
    """`knuckle predict`'s own JSON: {"hands": [{side, score, joints_image, joints_camera, ...}]}.

    Args:
        data: one file's content.
        size: not used: the file holds pixels.

    Returns:
        The hands.
    """
    return [
        PredictedHand(
            side=_side(hand.get("side")),
            score=_score(hand),
            joints=_rows(hand.get("joints_camera"), 3),
            joints_image=_rows(hand.get("joints_image"), 2),
            vertices=None if hand.get("vertices_camera") is None else number_array(hand["vertices_camera"], "vertices"),
            corners=_corners(hand.get("object")),
        )
        for hand in data["hands"]
    ]


def _corners(held: Any) -> np.ndarray | None:
    if held is None or held["corners_camera"] is None:
        return None
    corners = number_array(held["corners_camera"], "corners")
    if corners.shape != (8, 3):
        raise ValueError(f"the object's corners must be (8, 3) but are {corners.shape}")
    return corners


def mediapipe_hands(data: Any, size: SizeOf) -> list[PredictedHand]:
    """MediaPipe's hand landmarks, of its Tasks (Python, web) and of the older Solutions.

    Pixels are landmarks times the picture's size. The 3D joints are its world landmarks: metres in the camera's axes
    about the hand's own centre, so they are not in the camera frame. Tasks assume a picture that is not
    mirrored; Solutions (multi_hand_landmarks) assumed a mirrored one, so their sides are swapped here.

    Args:
        data: one file's content: hand_landmarks or landmarks, hand_world_landmarks or worldLandmarks, handedness; or
            multi_hand_landmarks, multi_hand_world_landmarks, multi_handedness.
        size: returns (width, height) of the picture.

    Returns:
        The hands.
    """
    solutions = "multi_hand_landmarks" in data
    landmarks = _first(data, "multi_hand_landmarks", "hand_landmarks", "handLandmarks", "landmarks") or []
    world = _first(data, "multi_hand_world_landmarks", "hand_world_landmarks", "handWorldLandmarks", "worldLandmarks")
    sides = _first(data, "multi_handedness", "handedness", "handednesses") or []
    hands = []
    for i, points in enumerate(landmarks):
        label = _category(sides[i]) if i < len(sides) else {}
        name = str(_first(label, "category_name", "categoryName", "label", "display_name") or "").lower()
        side = _side(name or None)
        if solutions and side is not None:
            side = "left" if side == "right" else "right"
        hands.append(
            PredictedHand(
                side=side,
                score=_score(label),
                joints=None if world is None else _landmarks(world[i], 3),
                joints_image=_landmarks(points, 2) * np.asarray(size(), np.float64),
            )
        )
    return hands


def openpose_hands(data: Any, size: SizeOf) -> list[PredictedHand]:
    """OpenPose's --write_json: people with hand_left_keypoints_2d and hand_right_keypoints_2d in pixels.

    A keypoint of confidence zero was not detected; a hand with no other keypoints is skipped.

    Args:
        data: one file's content.
        size: not used: pixels, with keypoint_scale 0, the default.

    Returns:
        The hands.
    """
    hands = []
    for person in data["people"]:
        for side in ("left", "right"):
            flat = person.get(f"hand_{side}_keypoints_2d") or []
            points = number_array(flat, "keypoints").reshape(-1, 3)
            if len(points) == 21 and (points[:, 2] > 0).any():
                found = np.where(points[:, 2:] > 0, points[:, :2], np.nan)
                hands.append(PredictedHand(_side(side), float(points[:, 2].mean()), joints_image=found))
    return hands


# Rows of the hands in COCO-WholeBody's 133 keypoints.
_WHOLE_BODY: Mapping[str, slice] = MappingProxyType({"left": slice(91, 112), "right": slice(112, 133)})


def mmpose_hands(data: Any, size: SizeOf) -> list[PredictedHand]:
    """MMPose's predictions: hand models (21), InterHand3D (42, millimetres) and whole bodies (133).

    Args:
        data: one picture's instances: a list of {"keypoints", "keypoint_scores"}, or {"instances": [...]}, or a list
            of one such list. Keypoints are pixels (x, y); InterHand3D's (x, y, z) are taken as millimetres.
        size: not used: the file holds pixels.

    Returns:
        The hands.
    """
    instances = data.get("instances", data.get("instance_info", [])) if isinstance(data, dict) else data
    while isinstance(instances, list) and len(instances) == 1 and isinstance(instances[0], list):
        instances = instances[0]
    hands = []
    for instance in instances:
        points = number_array(instance["keypoints"], "keypoints")
        points = points.reshape(-1, points.shape[-1])
        scores = number_array(instance.get("keypoint_scores", [1.0] * len(points)), "keypoint_scores").reshape(-1)
        if len(scores) != len(points):
            raise ValueError(f"keypoint_scores must be {len(points)}, as keypoints, but are {len(scores)}")
        if len(points) == 21:
            hands.append(_mmpose_hand(points, scores, _side(instance.get("side")), "common"))
        elif len(points) == 42:  # right, then left, InterHand's order
            hands.append(_mmpose_hand(points[:21], scores[:21], "right", "interhand"))
            hands.append(_mmpose_hand(points[21:], scores[21:], "left", "interhand"))
        elif len(points) == 133:
            hands += [_mmpose_hand(points[r], scores[r], _side(s), "common") for s, r in _WHOLE_BODY.items()]
        else:
            raise ValueError(f"keypoints must be 21, 42 or 133 but got {len(points)}; is it a hand model's output?")
    return hands


def _mmpose_hand(points: np.ndarray, scores: np.ndarray, side: Side | None, order: str) -> PredictedHand:
    points = np.asarray(to_common(points, order))
    if points.shape[1] == 3:
        return PredictedHand(side, float(scores.mean()), joints=points / 1000.0)
    return PredictedHand(side, float(scores.mean()), joints_image=points)


ADAPTERS: Mapping[str, Callable[[Any, SizeOf], list[PredictedHand]]] = MappingProxyType(
    {
        "knuckle": knuckle_hands,
        "mediapipe": mediapipe_hands,
        "mmpose": mmpose_hands,
        "openpose": openpose_hands,
    }
)
# Formats whose 3D joints are not in the camera frame.
RELATIVE = ("mediapipe", "openpose")


def format_of(data: Any) -> str | None:
    """The key of ADAPTERS for what a program wrote of one picture; None where the content is of none of them."""
    if isinstance(data, dict):
        if "hands" in data:
            return "knuckle"
        if "people" in data:
            return "openpose"
        if "instances" in data or "instance_info" in data:
            return "mmpose"
        names = ("multi_hand_landmarks", "hand_landmarks", "handLandmarks", "landmarks")
        if any(name in data for name in names):
            return "mediapipe"
    if isinstance(data, list) and all(isinstance(d, (dict, list)) for d in data):
        return "mmpose"
    return None


def detect_format(data: Any, path: Any) -> str:
    """The format of a JSON file, from its content.

    Args:
        data: the content.
        path: the file, for the message.

    Returns:
        A key of ADAPTERS.

    Raises:
        BrokenDataset: the format is unknown.
    """
    format = format_of(data)
    if format is not None:
        return format
    found = ", ".join(list(data)[:6]) if isinstance(data, dict) else type(data).__name__
    raise BrokenDataset(f"{path} must be the output of {', '.join(ADAPTERS)} but holds {found}; name it with --format")


def _side(name: Any) -> Side | None:
    if name is None:
        return None
    low = str(name).lower()
    if low not in ("left", "right"):
        raise ValueError(f"side must be left or right but got {name!r}")
    return "left" if low == "left" else "right"


def _score(entry: dict[str, Any]) -> float:
    return float(number_array(entry.get("score", 0.0), "score"))


def _rows(values: Any, width: int) -> np.ndarray | None:
    if values is None:
        return None
    array = number_array(values, "joints")
    if array.shape != (21, width):
        raise ValueError(f"joints must be (21, {width}) but got {array.shape}")
    return array


def _first(data: Any, *names: str) -> Any:
    return next((data[n] for n in names if isinstance(data, dict) and data.get(n) is not None), None)


def _category(entry: Any) -> dict[str, Any]:
    """The first (best) category of a hand's handedness: a list of categories, or {"classification": [...]}."""
    if isinstance(entry, dict):
        entry = entry.get("classification", entry.get("categories", [entry]))
    return entry[0] if entry else {}


def _landmarks(points: Any, width: int) -> np.ndarray:
    """(21, width) of a list of {"x", "y", "z"}, or {"landmark": [...]}, or of lists."""
    if isinstance(points, dict):
        points = _first(points, "landmark", "landmarks")
    rows = [[p[k] for k in "xyz"[:width]] if isinstance(p, dict) else p[:width] for p in points]
    array = number_array(rows, "landmarks")
    if array.shape != (21, width):
        raise ValueError(f"landmarks must be 21 with {width} coordinates but got {array.shape}")
    return array
