"""What the server and its page say to each other over a websocket.

Text messages are JSON with a `type`:
- to the page: `hello` once (see `hello_message`), `status` with a line that is empty where all is well, `error` in
  place of the answer to a frame that cannot be read, `clock` as the answer to the page's.
- from the page: `shown` with the number of the frame that it has drawn, `clock` with its own time, which comes back.

Binary messages to the page are frames (see `frame_message`); those from it are pictures of the browser's camera.
"""

import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from knuckle.handmodel import ANGLE_NAMES, HandModel, angle_limits
from knuckle.sample import Hand
from knuckle.skeleton import BONES, FINGER_JOINTS
from knuckle.view.bones import FINGER_COLORS, WRIST_COLOR


def hello_message(model: HandModel, source: str | None, mirrored: bool) -> str:
    """What a page must know before the first frame.

    Args:
        model: whose mesh the hands have.
        source: name of the source; None where the page is to use the browser's camera.
        mirrored: whether the page shows pictures as a mirror does.
    """
    fingers = {joint: finger for finger, joints in FINGER_JOINTS.items() for joint in joints}
    colors = [FINGER_COLORS[fingers[joint]] if joint in fingers else WRIST_COLOR for joint in range(21)]
    return json.dumps(
        {
            "type": "hello",
            "source": source,
            "mirrored": mirrored,
            "angles": ANGLE_NAMES,
            "limits": np.degrees(angle_limits()).round(1).tolist(),
            "bones": BONES,
            "colors": colors,
            "faces": np.asarray(model.faces).ravel().tolist(),
        }
    )


def status_message(text: str) -> str:
    """What is wrong with the source, in one line; empty where nothing is."""
    return json.dumps({"type": "status", "text": text})


def error_message(text: str) -> str:
    """Why a frame of the browser's camera could not be used."""
    return json.dumps({"type": "error", "text": text})


def frame_message(
    number: int, captured: float, seconds: float, size: tuple[int, int], hands: Sequence[Hand], jpeg: bytes = b""
) -> bytes:
    """A frame's hands, and its picture.

    Args:
        number: of the frame.
        captured: seconds of time.monotonic.
        seconds: that finding the hands took.
        size: (width, height) of the picture whose pixels joints_image are in.
        hands: found in it.
        jpeg: the picture; empty where the page has it.

    Returns:
        The length of the JSON that follows as a little-endian uint32; the JSON, padded with spaces to a multiple of
        four bytes; the hands' meshes as little-endian float32, (vertices, 3) each, metres in the camera's frame; the
        JPEG.
    """
    meshes = [hand.vertices_camera for hand in hands]
    header = {
        "type": "frame",
        "number": number,
        "captured": round(captured * 1000, 2),
        "milliseconds": round(seconds * 1000, 2),
        "size": size,
        "hands": [_hand(hand) for hand in hands],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    packed = b"".join(np.asarray(mesh, "<f4").tobytes() for mesh in meshes if mesh is not None)
    return struct.pack("<I", len(text)) + text + packed + jpeg


def read_frame_message(message: bytes) -> tuple[dict[str, Any], list[np.ndarray], bytes]:
    """The header, the meshes (vertices, 3) and the JPEG of a frame_message."""
    (length,) = struct.unpack_from("<I", message)
    header, at, meshes = json.loads(message[4 : 4 + length]), 4 + length, []
    for hand in header["hands"]:
        count = 3 * hand["vertices"]
        meshes.append(np.frombuffer(message, "<f4", count, at).reshape(-1, 3))
        at += 4 * count
    return header, meshes, message[at:]


def _hand(hand: Hand) -> dict[str, Any]:
    return {
        "side": hand.side,
        "id": hand.id,
        "score": round(float(hand.score), 3),
        "uncertainty_mm": round(float(hand.joint_uncertainty_mm.mean()), 1),
        "joints_image": np.round(hand.joints_image, 2).tolist(),
        "joints_camera": np.round(hand.joints_camera, 5).tolist(),
        "angles": [round(math.degrees(value), 2) for value in hand.angles.values()],
        "vertices": 0 if hand.vertices_camera is None else len(hand.vertices_camera),
    }
