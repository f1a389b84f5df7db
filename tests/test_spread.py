"""Commands that are spread over processes and over a small Ray cluster: the same bytes, whoever did the work."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import cv2
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
from knuckle.workers import KeptParts, Workers

pytestmark = pytest.mark.filterwarnings(*(f"ignore::{kind}Warning" for kind in ("Resource", "Deprecation", "Future")))

EXAMPLE = Path(__file__).parents[1] / "examples" / "hand.jpg"


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def processes_of(workers):
    """The numbers of the processes that work at the moment."""
    if workers.ray is None:
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
    cv2.imwrite(str(pictures / "empty.png"), np.full((64, 64, 3), 90, np.uint8))
    common = ["predict", str(pictures), str(tmp_path / "none.jpg"), "--save", "json,npz,glb", "--threads", "1"]
    shown = []
    for name, more in (("one", []), ("two", ["--workers", "2", *(["--ray", others.ray] if others.ray else [])])):
        assert main([*common, "--out", str(tmp_path / name), *more]) == 1
        captured = capsys.readouterr()
        shown.append((captured.out.replace(name, ""), captured.err))
    assert shown[0] == shown[1]
    assert "2 hands in 3 pictures, 2 problems" in shown[0][0]
    assert f"no hand in {pictures / 'empty.png'}" in shown[0][0]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 8


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
def test_shards_are_predicted_too_and_scored_by_their_labels(tmp_path, capsys):
    write_shards(tmp_path / "set", Settings(preset="crop", size=96, seed=5), images=4, shard_images=2)
    command = ["predict", str(tmp_path / "set")]
    assert main([*command, "--out", str(tmp_path / "one")]) == 0
    assert main([*command, "--out", str(tmp_path / "two"), "--workers", "2"]) == 0
    assert "in 4 pictures" in capsys.readouterr().out
    names = [f"shard-00000{shard}/crop-5-0000000{2 * shard + i}.json" for shard in (0, 1) for i in (0, 1)]
    assert sorted(contents(tmp_path / "one")) == names
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert json.loads((tmp_path / "one" / names[0]).read_text())["camera"]["source"] == "given"
    score = ["eval", str(tmp_path / "one"), "--protocol", "own", "--root", str(tmp_path / "set"), "--resamples", "0"]
    assert main(score) == 0
    assert "PA-MPJPE" in capsys.readouterr().out
    shard = tmp_path / "set" / "shard-000000.tar"
    shard.write_bytes(shard.read_bytes()[:2000])
    assert main(["predict", str(shard), "--out", str(tmp_path / "three")]) == 1
    assert "shard-000000.tar" in capsys.readouterr().err


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
    measures = {"mask_complete_iou": float(rng.random()), "category_right": 0.0}
    rows = [
        PredictedRow("a/0", True, (), {}),
        PredictedRow(
            "a/1", True, (hand("left", joints=joints[0]), hand(None, joints=joints[1], corners=joints[2, :8])), {}
        ),
        PredictedRow("b", False, (hand("right", vertices=rng.normal(size=(5, 3)).astype(np.float32)),), measures),
    ]
    for some in (rows, rows[:1], []):
        (tmp_path / "rows.npz").write_bytes(pack_rows(some))
        again = unpack_rows(load_npz(tmp_path / "rows.npz"))
        assert [(r.picture, r.placed, len(r.hands), r.measures) for r in again] == [
            (r.picture, r.placed, len(r.hands), r.measures) for r in some
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
