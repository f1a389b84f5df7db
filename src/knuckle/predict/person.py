"""A person's hand: its shape, measured once from a few pictures or given, in a small JSON file.

{"shape": {"size": 0.4, "girth": -0.1, ...}}, in the units and the order of HandModel.shape_names.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from knuckle.files import InputError, atomic_write, load_json, number_array
from knuckle.fit import FitConstants, fit_hand
from knuckle.handmodel import HandModel
from knuckle.sample import Hand

_MAX_BYTES = 2**16
# From the wrist to the tip of the middle finger.
_MIDDLE = [0, 9, 10, 11, 12]


def measure_shape(
    model: HandModel, hands: Sequence[Hand], length: float | None = None, regularisation: float = 1.0
) -> Float[np.ndarray, " s"]:
    """One shape for several hands of one person, left or right, by a fit that they share.

    Proportions are measured; the size is not, as a hand twice as large at twice the distance gives the same picture.
    It stays that which the network has given, or follows from the hand's length.

    Args:
        model: the free hand.
        hands: of different pictures, the more different poses the better.
        length: metres, from the middle of the wrist to the tip of the stretched middle finger, where it is known.
        regularisation: of the shape; see `fit_hand`.

    Raises:
        ValueError: there are no hands, or the length is not a hand's.
    """
    if not hands:
        raise ValueError("hands must be at least one but there are none; give pictures in which the hand is found")
    if length is not None and not 0.05 < length < 0.35:
        raise ValueError(f"length must be a hand's, 0.05 to 0.35 metres, but got {length:g}")
    joints = np.stack([hand.joints_camera if hand.joints_network is None else hand.joints_network for hand in hands])
    if length is not None:
        bones = np.linalg.norm(np.diff(joints[:, _MIDDLE], axis=1), axis=-1).sum(1)
        joints = joints * (length / np.median(bones))
    std = 1e-3 * np.stack([hand.joint_uncertainty_mm for hand in hands])
    left = np.array([hand.side == "left" for hand in hands])
    fit = fit_hand(
        FitConstants.of(model),
        joints,
        side=left,
        shape="shared",
        joint_uncertainty=np.maximum(std, 1e-3),
        shape_regularisation=regularisation,
    )
    return fit.shape[0] if length is None else _of_length(model, fit.shape[0], length)


def _of_length(model: HandModel, shape: Float[np.ndarray, " s"], length: float) -> Float[np.ndarray, " s"]:
    """The shape with the size at which the hand has that length, which the fit's prior would pull to the average."""
    along = np.eye(len(shape))[model.shape_names.index("size")]

    def excess(change: float) -> float:
        bones = np.diff(np.asarray(model.shaped_joints(shape + change * along))[_MIDDLE], axis=0)
        return float(np.linalg.norm(bones, axis=-1).sum()) - length

    change = 0.0
    # Newton's steps: bones are linear in the size, and so are their lengths nearly.
    for _ in range(4):
        change -= excess(change) / (excess(change + 0.5) - excess(change - 0.5))
    return shape + change * along


def write_person(path: Path, model: HandModel, shape: Float[np.ndarray, " s"]) -> None:
    """Write a shape where `read_person` reads it.

    Raises:
        OSError: the file cannot be written.
    """
    named = {name: round(float(value), 5) for name, value in zip(model.shape_names, shape, strict=True)}
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps({"shape": named}, indent=1) + "\n")


def read_person(path: Path, model: HandModel) -> Float[np.ndarray, " s"]:
    """The shape in a person's file, or in a hand of `knuckle predict`'s results.

    Args:
        path: JSON with an object whose "shape" has a number for each of model.shape_names, by name or in their order.

    Raises:
        InputError: the file holds something else, or a shape that no hand has; it is named.
        OSError: it cannot be read.
    """
    try:
        shape = load_json(path, _MAX_BYTES)["shape"]
        values = [shape[name] for name in model.shape_names] if isinstance(shape, dict) else list(shape)
        numbers = number_array(values, "shape")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f'{path} must hold {{"shape": ...}} with {", ".join(model.shape_names)} but cannot be read so ({error}); '
            "write it with `knuckle person`"
        ) from None
    return checked_shape(numbers, model, str(path))


def checked_shape(shape: Float[np.ndarray, "..."], model: HandModel, name: str = "shape") -> Float[np.ndarray, " s"]:
    """The shape, if it is one of the model's.

    Raises:
        InputError: it has another number of entries, or one far outside the model's limits.
    """
    numbers = np.asarray(shape, np.float64)
    count = len(model.shape_names)
    if numbers.shape != (count,) or not all(math.isfinite(value) for value in numbers):
        raise InputError(f"{name} must be {count} finite numbers, in the order of shape_names, but got {numbers}")
    low, high = np.asarray(model.shape_limits).T
    if (numbers < 2 * low).any() or (numbers > 2 * high).any():
        worst = int(np.argmax(np.maximum(numbers / high, numbers / low)))
        raise InputError(
            f"{name} must be near the limits of human hands but its {model.shape_names[worst]} is {numbers[worst]:g}, "
            f"beyond {low[worst]:g} to {high[worst]:g}; measure it again with `knuckle person`"
        )
    return numbers
