"""A table: one row for each hand in each frame, for spreadsheets, pandas and R."""

from collections.abc import Iterator
from contextlib import contextmanager

from knuckle.files import atomic_write
from knuckle.handmodel import ANGLE_NAMES
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo
from knuckle.sample import Hand
from knuckle.skeleton import JOINT_NAMES

COLUMNS = (
    "frame",
    "time",
    "id",
    "side",
    "score",
    *(f"{joint}_{axis}" for joint in JOINT_NAMES for axis in "xyz"),
    *ANGLE_NAMES,
)


def _picture(result: PictureResult, target: Target) -> None:
    with atomic_write(target.named(".csv")) as unfinished:
        unfinished.write_text(_row(COLUMNS) + _rows(result), encoding="ascii")


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    with atomic_write(target.named(".csv")) as unfinished, unfinished.open("w", encoding="ascii") as rows:
        rows.write(_row(COLUMNS))

        def add(result: PictureResult) -> None:
            rows.write(_rows(result))

        yield add


def _rows(result: PictureResult) -> str:
    return "".join(_row(_values(result, hand)) for hand in result.hands)


def _values(result: PictureResult, hand: Hand) -> list[str]:
    """A picture has neither frame nor time, and its hands have no ids: the cells are empty."""
    moment = [result.frame, None if result.time is None else f"{result.time:.6f}", hand.id]
    numbers = [*hand.joints_camera.ravel().tolist(), *hand.angles.values()]
    return [
        *("" if value is None else str(value) for value in moment),
        hand.side,
        f"{hand.score:.4f}",
        *(f"{number:.6f}" for number in numbers),
    ]


def _row(values: list[str] | tuple[str, ...]) -> str:
    # No value has a comma in it, so nothing is quoted.
    return ",".join(values) + "\n"


TABLE = Format(_picture, _video)
