"""Limits of the 23 angles of a human hand, in degrees, by named preset.

"default": limits that contain both recordings of real hands they were derived from (a headset's 110 poses and 292
photographs of one subject). The usual tables do not: the ring finger's PIP joint alone exceeds 90 degrees in a third
to two thirds of these poses. MCP, PIP and DIP flexion are from those recordings. Abduction of the
fingers and the thumb's IP and MCP start from the ranges of the American Academy of Orthopaedic Surgeons (Greene &
Heckman, 1994) and are widened to contain the recordings: the clinical active range of motion is measured one joint at a
time, with the others at rest. The thumb's CMC angles have no standard zero; here it is the flat hand's thumb.

"s4": Fan & Wang's table, tighter, as published with MobileHand (Lim et al., 2020), meant for the "summed" convention.

Spurr et al.'s (flexion, abduction) pairs are other quantities and have no limits here.
"""

from collections.abc import Mapping
from types import MappingProxyType

import array_api_compat
import numpy as np
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.handmodel.angles import ANGLE_NAMES, check_angles

_FINGER = {"mcp_flexion": (-45, 100), "pip_flexion": (-10, 120), "dip_flexion": (-15, 95)}
_FINGER_S4 = {"mcp_flexion": (-10, 90), "pip_flexion": (-1, 90), "dip_flexion": (-1, 90)}


def _table(thumb: Mapping[str, tuple], abduction: Mapping[str, tuple], finger: Mapping[str, tuple]) -> tuple:
    """One (lower, upper) for each of ANGLE_NAMES."""
    by_name = {f"thumb_{name}": pair for name, pair in thumb.items()}
    for one, pair in abduction.items():
        by_name |= {f"{one}_mcp_abduction": pair} | {f"{one}_{name}": pair for name, pair in finger.items()}
    return tuple(by_name[name] for name in ANGLE_NAMES)


LIMITS_DEGREES: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "default": _table(
            thumb={
                "cmc_flexion": (-40, 60),
                "cmc_abduction": (-40, 70),
                "cmc_rotation": (-50, 70),
                "mcp_flexion": (-30, 80),
                "mcp_abduction": (-35, 35),
                "mcp_rotation": (-30, 30),
                "ip_flexion": (-40, 100),
            },
            abduction={"index": (-30, 35), "middle": (-30, 30), "ring": (-30, 30), "little": (-45, 30)},
            finger=_FINGER,
        ),
        "s4": _table(
            thumb={
                "cmc_flexion": (-45, 45),
                "cmc_abduction": (-45, 45),
                "cmc_rotation": (-45, 45),
                "mcp_flexion": (-45, 45),
                "mcp_abduction": (-45, 45),
                "mcp_rotation": (-45, 45),
                "ip_flexion": (-1, 90),
            },
            abduction={"index": (-20, 30), "middle": (-20, 10), "ring": (-20, 10), "little": (-30, 20)},
            finger=_FINGER_S4,
        ),
    }
)


def angle_limits(preset: str = "default") -> Float[np.ndarray, "23 2"]:
    """Lower and upper limit of each angle.

    Args:
        preset: a key of LIMITS_DEGREES.

    Returns:
        (23, 2) radians, NumPy; convert with `torch.as_tensor` for torch.

    Raises:
        ValueError: there is no such preset.
    """
    if preset not in LIMITS_DEGREES:
        raise ValueError(f"preset must be one of {', '.join(LIMITS_DEGREES)} but got {preset!r}")
    return np.radians(np.array(LIMITS_DEGREES[preset], dtype=np.float64))


def violations(
    angles: Float[Array, "*batch a"], limits: Float[Array, "23 2"] | None = None
) -> Float[Array, "*batch 23"]:
    """Signed amount by which each angle is outside its limits.

    Args:
        angles: (..., 23) radians.
        limits: (23, 2) radians; None is the default preset.

    Returns:
        (..., 23) radians, zero inside, negative below the lower limit, positive above the upper.
    """
    check_angles(angles)
    xp = namespace(angles)
    bounds = xp.asarray(
        angle_limits() if limits is None else limits, dtype=angles.dtype, device=array_api_compat.device(angles)
    )
    return angles - xp.clip(angles, min=bounds[:, 0], max=bounds[:, 1])
