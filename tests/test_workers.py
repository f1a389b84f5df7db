"""Work in parts, on processes and on a small Ray cluster: results, deaths, errors, and what an interrupt leaves.

Little is imported here: every worker imports this file.
"""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from knuckle.workers import KeptParts, Workers, digest, map_parts

# What Ray itself does wrong by Python's warnings.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(params=["here", "processes", "ray"])
def workers(request):
    if request.param == "here":
        return Workers(0)
    return Workers(2, request.getfixturevalue("cluster") if request.param == "ray" else None)


def open_squares(folder: Path | None = None, deadly: int | None = None, times: int = 0):
    return partial(square, folder, deadly, times)


def square(folder, deadly, times, part):
    """The square of a number. So many times, the deadly one's worker is killed in the middle of it."""
    yield 1
    if part == deadly and len(list(folder.glob("death-*"))) < times:
        (folder / f"death-{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    yield 2
    return part, os.getpid()


def test_every_part_has_its_result_and_a_worker_has_many_parts(workers):
    found = dict(map_parts(open_squares, range(12), workers))
    assert {number: part for number, (part, _) in found.items()} == {i: i for i in range(12)}
    processes = {process for _, process in found.values()}
    assert len(processes) <= 2
    assert (processes == {os.getpid()}) is workers.here


def test_a_worker_that_dies_costs_its_part_alone(others, tmp_path):
    reported = []
    work = partial(open_squares, tmp_path, 4, 2)
    found = dict(map_parts(work, range(8), others, lambda number, done: reported.append((number, done))))
    assert {number: part for number, (part, _) in found.items()} == {i: i for i in range(8)}
    assert len(list(tmp_path.glob("death-*"))) == 2
    # It begins again; nothing else does.
    assert [entry for entry in reported if entry[1] == 0] == [(4, 0), (4, 0)]


def test_a_part_that_kills_every_worker_ends_it_and_the_others_are_done(others, tmp_path):
    found = []
    results = map_parts(partial(open_squares, tmp_path, 5, 99), range(6), others)
    with pytest.raises(ChildProcessError, match="must finish part 6 of 6 but 3 of them died"):
        found.extend(number for number, _ in results)
    assert sorted(found) == [0, 1, 2, 3, 4]


def fails(part):
    yield 0
    raise FileNotFoundError(2, "No such file or directory", f"picture-{part}.jpg")


def open_failing():
    return fails


def open_nothing():
    raise OSError("OpenGL could not be started; apt-get install libegl1")


class TwoArguments(Exception):
    """Cannot be pickled: its constructor takes what its text does not say."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def open_unportable():
    raise TwoArguments("one", "two")


def test_errors_are_raised_where_the_command_runs(workers):
    with pytest.raises(FileNotFoundError) as caught:
        list(map_parts(open_failing, [3], workers))
    assert caught.value.filename == "picture-3.jpg"
    with pytest.raises(OSError, match="apt-get install libegl1"):
        list(map_parts(open_nothing, [1], workers))
    with pytest.raises((RuntimeError, TwoArguments), match="one and two"):
        list(map_parts(open_unportable, [1], workers))


def open_deadly():
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_cannot_be_started(others):
    with pytest.raises(ChildProcessError, match="must be started but 3 of them died"):
        list(map_parts(open_deadly, [1], others))


def open_slow(folder: Path):
    return partial(slow, folder)


def slow(folder, part):
    (folder / f"{os.getpid()}").touch()
    while True:
        time.sleep(0.05)
        yield 0


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_an_interrupt_ends_all_workers(others, tmp_path):
    def interrupt(number, done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(map_parts(partial(open_slow, tmp_path), [1, 2], others, interrupt))
    processes = [int(path.name) for path in tmp_path.iterdir()]
    end = time.monotonic() + 20
    while any(map(is_alive, processes)) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes
    assert not any(map(is_alive, processes))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"count": -1}, "at least 1"), ({"count": 1000}, "at most 512"), ({"count": 0, "ray": "auto"}, "at least 1")],
)
def test_counts_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        Workers(**wrong)


def test_an_address_without_a_cluster_is_a_line(capsys):
    from knuckle.workers.cluster import _join

    class NoCluster:
        @staticmethod
        def init(**options):
            raise ConnectionError("Could not find any running\nRay instance.")

    with pytest.raises(ConnectionError, match=r"but auto is none \(Could not find any running Ray instance\.\); start"):
        _join(NoCluster, "auto", None)


def test_kept_parts_are_found_again_until_they_are_cleared(tmp_path):
    kept = KeptParts(tmp_path / "parts")
    kept.clear()
    name = digest(b"network", {"save": ["json"], "fov": 0.0})
    assert (
        name != digest(b"network", {"save": ["json"], "fov": 0.1}) != digest(b"other", {"save": ["json"], "fov": 0.1})
    )
    assert kept.load(name) is None
    kept.save(name, b"result")
    assert KeptParts(tmp_path / "parts").load(name) == b"result"
    (tmp_path / "parts" / "notes.txt").write_text("a person's own")
    kept.clear()
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["notes.txt"]
    (tmp_path / "parts" / "notes.txt").unlink()
    kept.save(name, b"result")
    kept.clear()
    assert not (tmp_path / "parts").exists()
