"""Work in parts, on processes and on a small Ray cluster: results, deaths, errors, and what an interrupt leaves.

Then the commands that are spread so: they write the same bytes, whoever did the work.
"""

import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import tiny_sets
from knuckle.cli import main
from knuckle.evaluate import PROTOCOLS
from knuckle.evaluate.adapters import PredictedHand
from knuckle.evaluate.matching import PredictedRow
from knuckle.evaluate.parts import pack_rows, unpack_rows
from knuckle.evaluate.sources import read_source
from knuckle.files import load_npz
from knuckle.models import run_model
from knuckle.predict import parts as predict_parts
from knuckle.synth import Settings, write_shards
from knuckle.weights import weights_path
from knuckle.workers import KeptParts, Workers, digest, map_parts

# What Ray itself does wrong by Python's warnings.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of two CPUs, which `map_parts` finds this program in."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=100 * 2**20,
        # Ray's workers find this file, as processes of pytest do.
        runtime_env={
            "env_vars": {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
        },
    )
    yield "auto"
    ray.shutdown()


@pytest.fixture(params=["here", "processes", "ray"])
def workers(request):
    if request.param == "here":
        return Workers(0)
    return Workers(2, request.getfixturevalue("cluster") if request.param == "ray" else None)


@pytest.fixture(params=["processes", "ray"])
def others(request):
    """Workers that are other processes."""
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
        list(map_parts(open_nothing, [1, 2, 3], workers))
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


EXAMPLE = Path(__file__).parents[1] / "examples" / "hand.jpg"


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def processes_of(workers):
    """The numbers of the processes that work at the moment."""
    if workers.ray is None:
        import multiprocessing

        return [child.pid for child in multiprocessing.active_children()]
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = entry.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if title.startswith(b"ray::_Actor"):
            found.append(int(entry.parent.name))
    return found


@pytest.mark.egl
def test_shards_have_the_same_bytes_though_a_worker_is_killed(others, tmp_path):
    settings = Settings(preset="plain", size=64, seed=4)
    expected = write_shards(tmp_path / "one", settings, images=24, shard_images=6)
    killed = []

    def kill_one(done):
        if done and not killed:
            killed.append(processes_of(others)[0])
            os.kill(killed[0], signal.SIGKILL)

    assert write_shards(tmp_path / "two", settings, 24, others, 6, kill_one) == expected
    assert killed
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_predict_writes_the_same_bytes(others, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predict_parts, "_PICTURES", 1)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(EXAMPLE, pictures / name)
    (pictures / "broken.jpg").write_bytes(b"no picture")
    common = ["predict", str(pictures), str(tmp_path / "none.jpg"), "--save", "json,npz,glb", "--threads", "1"]
    shown = []
    for name, more in (("one", []), ("two", ["--workers", "2", *(["--ray", others.ray] if others.ray else [])])):
        assert main([*common, "--out", str(tmp_path / name), *more]) == 1
        captured = capsys.readouterr()
        shown.append((captured.out.replace(name, ""), captured.err))
    assert shown[0] == shown[1]
    assert "2 hands in 2 pictures, 2 problems" in shown[0][0]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 6


def test_predict_goes_on_where_it_was_interrupted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predict_parts, "_PICTURES", 1)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in "abcd":
        shutil.copy(EXAMPLE, pictures / f"{name}.jpg")
    command = ["predict", str(pictures), "--out", str(tmp_path / "out")]
    begun = []

    def interrupted(predictor, path, *rest, predict_file=predict_parts.predict_file):
        begun.append(path.name)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return predict_file(predictor, path, *rest)

    monkeypatch.setattr(predict_parts, "predict_file", interrupted)
    assert main(command) == 130
    assert begun == ["a.jpg", "b.jpg", "c.jpg"]
    # Of the two that are done one has changed meanwhile.
    (pictures / "b.jpg").write_bytes(EXAMPLE.read_bytes() + b"more")
    assert main(command) == 0
    assert begun[3:] == ["b.jpg", "c.jpg", "d.jpg"]
    assert "4 hands in 4 pictures" in capsys.readouterr().out
    assert sorted(contents(tmp_path / "out")) == [f"{name}.json" for name in "abcd"]
    # Nothing is left to go on from: all is done again.
    assert main(command) == 0
    assert len(begun) == 3 + 3 + 4


def test_eval_gives_the_same_numbers(others, tmp_path, monkeypatch):
    tiny_sets.truth_list(tmp_path / "set", n=3)
    monkeypatch.setattr("knuckle.evaluate.sources._ROWS", 1)
    command = ["eval", str(weights_path("hand")), "--protocol", "own", "--root", str(tmp_path / "set")]
    command += ["--crops", "truth", "--resamples", "20"]
    more = ["--workers", "2", *(["--ray", others.ray] if others.ray else []), "--parts", str(tmp_path / "parts")]
    assert main([*command, "--json", str(tmp_path / "one.json")]) == 0
    assert main([*command, *more, "--json", str(tmp_path / "two.json")]) == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert not (tmp_path / "parts").exists()


@pytest.mark.egl
def test_eval_on_shards_is_split_and_goes_on_where_it_was_interrupted(tmp_path):
    write_shards(tmp_path / "set", Settings(preset="crop", size=96, seed=5), images=6, shard_images=2)
    source = read_source(PROTOCOLS["own"], tmp_path / "set")
    expected = run_model(weights_path("hand"), source)
    kept, asked = KeptParts(tmp_path / "parts"), []

    def interrupt():
        asked.append(1)
        if len(asked) == len(source.truth):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_model(weights_path("hand"), source, kept=kept, advance=interrupt)
    assert len(list((tmp_path / "parts").iterdir())) == 2
    found = run_model(weights_path("hand"), source, workers=Workers(1), kept=kept)
    assert not (tmp_path / "parts").exists()
    for name in ("present", "joints", "vertices", "joints_image", "left"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_rows_come_back_to_the_last_bit(tmp_path, rng):
    def hand(side, **arrays):
        return PredictedHand(side, float(rng.random()), **arrays)

    joints = rng.normal(size=(4, 21, 3))
    rows = [
        PredictedRow("a/0", True, ()),
        PredictedRow(
            "a/1", True, (hand("left", joints=joints[0]), hand(None, joints=joints[1], corners=joints[2, :8]))
        ),
        PredictedRow("b", False, (hand("right", vertices=rng.normal(size=(5, 3)).astype(np.float32)),)),
    ]
    for some in (rows, rows[:1], []):
        (tmp_path / "rows.npz").write_bytes(pack_rows(some))
        again = unpack_rows(load_npz(tmp_path / "rows.npz"))
        assert [(r.picture, r.placed, len(r.hands)) for r in again] == [
            (r.picture, r.placed, len(r.hands)) for r in some
        ]
        for one, other in zip((h for r in some for h in r.hands), (h for r in again for h in r.hands), strict=True):
            assert (one.side, one.score) == (other.side, other.score)
            for name in ("joints", "joints_image", "vertices", "corners"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_options_for_a_model_are_refused_for_predictions(tmp_path, capsys):
    truth = tiny_sets.truth_list(tmp_path / "set", n=2)
    np.save(tmp_path / "joints.npy", truth.joints)
    command = ["eval", str(tmp_path / "joints.npy"), "--protocol", "own", "--root", str(tmp_path / "set")]
    assert main([*command, "--workers", "2"]) == 2
    assert main([*command, "--parts", str(tmp_path / "parts")]) == 2
    assert capsys.readouterr().err.count("--workers, --ray and --parts are for a model that is run, but") == 2
    assert main(["eval", str(tmp_path), "--protocol", "own", "--root", "s3://bucket/set"]) == 2
    assert "root must be a folder of this machine but got the URL s3:/bucket/set" in capsys.readouterr().err
