"""`knuckle eval` and `knuckle submit` from the outside."""

import json
import subprocess
import sys
import typing
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import tiny_sets
from known_networks import unproject_nodes, write_onnx
from knuckle.cli import evaluate as cli
from knuckle.cli import main
from knuckle.evaluate import PROTOCOLS
from knuckle.evaluate.adapters import ADAPTERS
from knuckle.evaluate.predictions import FORMATS
from knuckle.evaluate.submit import SUBMISSIONS
from knuckle.predict import Contract, CropRule
from knuckle.predict.crop import square_of_labels
from knuckle.synth import Settings, write_shards
from knuckle.systems import open_system
from knuckle.train import checkpoint
from knuckle.weights import weights_path


def test_the_names_in_the_signature_are_those_there_are():
    assert typing.get_args(cli.ProtocolName) == tuple(PROTOCOLS)
    assert typing.get_args(cli.SubmissionName) == tuple(SUBMISSIONS)
    assert set(typing.get_args(cli.FormatName)) == set(FORMATS) >= set(ADAPTERS)
    assert all(name in (cli.evaluate.__doc__ or "") for name in PROTOCOLS)


def test_eval_prints_and_writes_everything(tmp_path, capsys):
    truth = tiny_sets.truth_list(tmp_path / "set", n=5)
    np.save(tmp_path / "joints.npy", truth.joints + np.random.default_rng(0).normal(size=truth.joints.shape) * 0.005)
    status = cli.evaluate(
        tmp_path / "joints.npy",
        protocol="own",
        root=tmp_path / "set",
        json=tmp_path / "scores.json",
        plots=tmp_path / "plots",
        resamples=20,
    )
    assert status == 0
    said = capsys.readouterr().out
    assert "PA-MPJPE" in said
    assert "hands: 5, missing: 0" in said
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert 3 < scores["joints_pa"]["value"] < 12
    assert (tmp_path / "plots" / "worst.png").stat().st_size > 1000


def test_a_partial_set_is_told(tmp_path, capsys):
    truth = tiny_sets.freihand(tmp_path)
    (tmp_path / "p").mkdir()
    np.save(tmp_path / "p" / "joints.npy", 1e3 * truth.joints)
    assert cli.evaluate(tmp_path / "p", protocol="freihand", root=tmp_path, unit="mm", resamples=0) == 0
    said = capsys.readouterr().out
    assert "4 hands were scored; the published split has 3960" in " ".join(said.split())
    assert "no meshes were predicted" in " ".join(said.split())


def test_submit_writes_and_checks(tmp_path, capsys, monkeypatch):
    truth = tiny_sets.ho3d(tmp_path)
    np.save(tmp_path / "joints.npy", truth.joints)
    small = {name: replace(form, count=3) for name, form in SUBMISSIONS.items()}
    monkeypatch.setattr("knuckle.evaluate.submit.SUBMISSIONS", small)
    arguments = {"protocol": "ho3d-v2", "out": tmp_path / "pred.zip", "root": tmp_path}
    assert cli.submit(tmp_path / "joints.npy", **arguments) == 0
    captured = capsys.readouterr()
    assert "is ready for ho3d-v2: 3 hands" in captured.out
    assert "no meshes were predicted" in captured.out
    with zipfile.ZipFile(tmp_path / "pred.zip") as archive:
        assert np.shape(json.loads(archive.read("pred.json"))[1]) == (3, 778, 3)
    # Arrays in the split's order need no folder; what is wrong with them is said, and the status shows it.
    np.save(tmp_path / "joints.npy", 1e3 * truth.joints)
    assert cli.submit(tmp_path / "joints.npy", **(arguments | {"root": None})) == 1
    assert "is not ready: joints must be in metres" in capsys.readouterr().err


def test_what_is_wrong_is_raised_with_words(tmp_path):
    tiny_sets.truth_list(tmp_path)
    with pytest.raises(FileNotFoundError, match="must exist but does not"):
        cli.evaluate(tmp_path / "nothing", protocol="own", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="labels of one's own"):
        cli.evaluate(tmp_path, protocol="own", root=tmp_path / "nowhere")


def test_it_works_without_torch(tmp_path):
    truth = tiny_sets.truth_list(tmp_path / "set")
    np.save(tmp_path / "joints.npy", truth.joints)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from knuckle.cli.evaluate import evaluate\n"
        f"evaluate(Path({str(tmp_path / 'joints.npy')!r}), protocol='own', root=Path({str(tmp_path / 'set')!r}))\n"
        "sys.exit('torch was loaded' if 'torch' in sys.modules else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PA-MPJPE" in done.stdout


def test_help_lists_the_protocols_and_loads_nothing():
    code = (
        "import sys\n"
        "from knuckle.cli import main\n"
        "main(['eval', '--help'])\n"
        "sys.exit(', '.join({'torch', 'cv2', 'numpy'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in PROTOCOLS)
    assert "AUC" in done.stdout  # the docstring's own text, not only the line in the list of commands


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path, capsys):
    tiny_sets.truth_list(tmp_path)
    assert main(["eval", str(tmp_path / "nothing"), "--protocol", "own", "--root", str(tmp_path)]) == 2
    assert main(["eval", str(tmp_path), "--protocol", "none", "--root", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "nothing must exist" in lines[0]
    assert "stb-zimmermann" in lines[1]


def knows_the_first_hand(path, truth, coordinates, factor):
    """A file with the first hand's pixels in the crop of the truth, and `factor` times its depths."""
    rule = CropRule(64, "picture", 1.5, "right")
    uv = truth.joints[0] @ np.array([[480.0, 0, 128], [0, 480, 128], [0, 0, 1]]).T
    uv = uv[:, :2] / uv[:, 2:]
    affine = square_of_labels(uv, rule).affine(64, mirrored=True)  # the first hand is a left one
    nodes = unproject_nodes(uv @ affine[:, :2].T + affine[:, 2], factor * truth.joints[0, :, 2])
    contract = Contract(path.stem, crop=rule, coordinates=coordinates, inputs=("image", "K"))
    return write_onnx(path, contract, {}, nodes)


class TestModels:
    """A model in the place of predictions: the pictures are read and it is run."""

    @pytest.mark.egl
    def test_an_exported_network(self, tmp_path, capsys):
        write_shards(tmp_path, Settings(preset="crop", size=128, seed=5), images=4, shard_images=4)
        assert cli.evaluate(weights_path("hand"), protocol="own", root=tmp_path, resamples=0) == 0
        said = capsys.readouterr().out
        assert "hand.onnx" in said
        assert "PA-MPJPE" in said

    def test_a_checkpoint(self, tmp_path, capsys):
        tiny_sets.truth_list(tmp_path / "set", n=2)
        config = {"stem": [8], "widths": [8, 8, 8], "blocks": [1, 1, 1], "width": 8, "layers": 1}
        weights = open_system("shipped", config).network().state_dict()
        folder = checkpoint.save(tmp_path, 1, {"system": "shipped", "config": config}, weights, {})
        assert cli.evaluate(folder, protocol="own", root=tmp_path / "set", resamples=0) == 0
        assert "step-0000001" in capsys.readouterr().out

    def test_crops_of_the_truth(self, tmp_path, capsys):
        """A file that knows one hand's pixels in the crop of the truth, and its depths, scores no error to speak of."""
        truth = tiny_sets.truth_list(tmp_path / "set", n=1)
        path = knows_the_first_hand(tmp_path / "s2.onnx", truth, "metric", 1.0)
        arguments = ["eval", str(path), "--protocol", "own", "--root", str(tmp_path / "set"), "--resamples", "0"]
        assert main([*arguments, "--crops", "truth", "--json", str(tmp_path / "scores.json")]) == 0
        assert "crops from the truth" in " ".join(capsys.readouterr().out.split())
        report = json.loads((tmp_path / "scores.json").read_text())
        assert report["scores"]["joints_camera"]["value"] < 1.5
        assert report["scores"]["side_right"]["value"] == 100
        np.save(tmp_path / "joints.npy", truth.joints)
        arguments[1] = str(tmp_path / "joints.npy")
        assert main([*arguments, "--crops", "truth"]) == 2
        assert "--crops truth is for a model that is run, but" in capsys.readouterr().err

    def test_the_scale_of_the_truth(self, tmp_path, capsys):
        """Joints in lengths of a bone times its true length are what is scored: nothing is fitted or rescaled."""
        truth = tiny_sets.truth_list(tmp_path / "set", n=1)
        length = np.linalg.norm(truth.joints[0, 9] - truth.joints[0, 0])
        arguments = ["eval", "", "--protocol", "own", "--root", str(tmp_path / "set"), "--resamples", "0"]
        scores = {}
        # The second network's hand is a tenth too large for its own bone; no alignment hides it.
        for size in (1.0, 1.1):
            arguments[1] = str(knows_the_first_hand(tmp_path / "s1.onnx", truth, "normalised", size / length))
            out = ["--json", str(tmp_path / "scores.json")]
            assert main([*arguments, "--crops", "truth", "--scale", "truth", *out]) == 0
            assert "crops and scale from the truth" in " ".join(capsys.readouterr().out.split())
            scores[size] = json.loads((tmp_path / "scores.json").read_text())["scores"]["joints_camera"]["value"]
        assert scores[1.0] < 1e-3
        expected = 100 * np.linalg.norm(truth.joints[0], axis=1).mean()
        assert scores[1.1] == pytest.approx(expected, rel=1e-3)
        assert main([*arguments, "--scale", "truth"]) == 2
        assert "--scale truth must come with --crops truth" in capsys.readouterr().err
        arguments[1] = str(knows_the_first_hand(tmp_path / "s2.onnx", truth, "metric", 1.0))
        assert main([*arguments, "--crops", "truth", "--scale", "truth"]) == 2
        assert "the scale must be left to 's2', whose coordinates are metric" in capsys.readouterr().err

    def test_objects_are_scored(self, tmp_path, capsys):
        tiny_sets.fpha(tmp_path / "set")
        outputs = ("joints", "uncertainty", "left", "presence", "corners")
        contract = Contract("s5", crop=CropRule(64), coordinates="metric", inputs=("image", "K"), outputs=outputs)
        hand = tiny_sets.hands(1, left=False)[0][0]
        constants = {
            "joints": hand, "uncertainty": np.full(21, 0.005), "left": 0.1, "presence": 0.9, "corners": hand[:8],
        }  # fmt: skip
        path = write_onnx(tmp_path / "s5.onnx", contract, constants)
        arguments = ["eval", str(path), "--protocol", "fpha-ho", "--root", str(tmp_path / "set"), "--crops", "truth"]
        assert main([*arguments, "--resamples", "0"]) == 0
        said = capsys.readouterr().out
        assert "object corners" in said
        assert "object 2D projection" in said

    def test_a_detector_and_a_set_without_pictures(self, tmp_path):
        config = {"stem": [8], "widths": [8, 8, 8], "blocks": [1, 1, 1]}
        weights = open_system("detector", config).network().state_dict()
        folder = checkpoint.save(tmp_path, 1, {"system": "detector", "config": config}, weights, {})
        tiny_sets.truth_list(tmp_path / "set", n=2)
        with pytest.raises(ValueError, match="must be a hand network but is a detector"):
            cli.evaluate(folder, protocol="own", root=tmp_path / "set")
        (tmp_path / "arrays").mkdir()
        np.save(tmp_path / "arrays" / "joints.npy", np.zeros((2, 21, 3)))
        with pytest.raises(ValueError, match="needs pictures to run on, but the data set has none"):
            cli.evaluate(weights_path("hand"), protocol="own", root=tmp_path / "arrays")
