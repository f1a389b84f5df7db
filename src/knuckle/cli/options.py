"""Options that several commands have: each is checked here, and a message names it as it is typed."""

import math


def fov_radians(degrees: float) -> float:
    """--fov, a full field of view along the longer side.

    Raises:
        ValueError: no camera has it.
    """
    if not 0 < degrees < 180:
        raise ValueError(f"--fov must be between 0 and 180 degrees but got {degrees:g}; a webcam has about 60")
    return math.radians(degrees)


def check_sources(sources: tuple[str, ...]) -> None:
    """Whether there is anything to read.

    Raises:
        ValueError: there is nothing.
    """
    if not sources:
        raise ValueError("SOURCE must be at least one file, folder or pattern but none was given; name a picture")


def check_max_hands(count: int) -> None:
    """--max-hands.

    Raises:
        ValueError: it allows no hand.
    """
    if count < 1:
        raise ValueError(f"--max-hands must be at least 1 but got {count}")
