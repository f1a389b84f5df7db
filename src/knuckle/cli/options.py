"""Options that several commands have: each is checked here, and a message names it as it is typed."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from knuckle.recording import Recording


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


def chosen_hands(
    path: Path, side: Literal["left", "right"] | None, track: int | None
) -> "tuple[Recording, Literal['left', 'right']]":
    """The hands of a file that --side and --id choose, and their side.

    Raises:
        ValueError: they choose none, or must choose and do not.
    """
    from knuckle import recording

    read = recording.read_recording(path)
    try:
        chosen, side = read.of_one_side(side)
        return chosen.of_one_track(track), side
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None


def named_tips(text: str | None) -> dict[str, str] | None:
    """--tips thumb=LINK,index=LINK as a mapping.

    Raises:
        ValueError: it is another text.
    """
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and link.strip() for name, _, link in pairs):
        raise ValueError(f"--tips must be like thumb=LINK,index=LINK but got {text!r}")
    return {name.strip(): link.strip() for name, _, link in pairs}
