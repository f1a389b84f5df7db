"""Models given by a path: an exported ONNX file, or a checkpoint's folder, which is exported to a temporary file."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np

from knuckle.evaluate.data import Predictions
from knuckle.evaluate.matching import run_on_crops, run_predictor
from knuckle.evaluate.predictions import Conventions, read_predictions
from knuckle.evaluate.sources import Source
from knuckle.fit import FitConstants
from knuckle.handmodel import HandModel
from knuckle.predict import Predictor, PredictorConfig
from knuckle.predict.explain import FitExplain
from knuckle.predict.ik import IKGraph
from knuckle.predict.solve import IKAlone, Refinement
from knuckle.sample import Hand, Sample
from knuckle.weights import weights_path


@dataclass(frozen=True)
class Run:
    """How `knuckle eval` runs a model.

    Attributes:
        crops: "detector" finds the hands as `knuckle predict` does, and matches them to the truth. "truth" crops around
            the true joints, mirrored by the true side, as papers do; every labelled hand has a prediction.
        scale: size of the hand where the network predicts none. "adult" is an average adult's. "truth" is that at which
            the bone of the contract has its true length, as papers do that are given it; it needs crops from the truth.
        shape: "unknown", or "truth", that of the label, which the hand is then posed with.
        hand: what is scored: the network's own joints and mesh ("network"), or the hand that is found for these by a
            fit ("fit"), by an inverse-kinematics network ("ik") or by S4's refinement of that ("refined"). None for the
            fitted hand with the network's own mesh, where it predicts one; with the true scale, "network".
        ik: of "ik" and "refined", a model of the system "ik"; the package's own if None.
    """

    crops: Literal["truth", "detector"] = "detector"
    scale: Literal["truth", "adult"] = "adult"
    shape: Literal["truth", "unknown"] = "unknown"
    hand: Literal["network", "fit", "ik", "refined"] | None = None
    ik: Path | None = None


def is_model(path: Path) -> bool:
    """Whether a path is that of a model, not of predictions."""
    return path.suffix == ".onnx" or (path / "weights.safetensors").exists()


@contextmanager
def onnx_file(path: Path) -> Iterator[Path]:
    """The ONNX file of a model, while the context lasts.

    Args:
        path: an .onnx file, or a checkpoint's folder (config.json, weights.safetensors), which needs knuckle[train].

    Raises:
        FileNotFoundError: the path is neither.
        ModuleNotFoundError: it is a checkpoint, and a package of knuckle[train] is not installed.
    """
    if path.suffix == ".onnx":
        yield path
        return
    if not is_model(path):
        raise FileNotFoundError(
            f"{path} must be an .onnx file or a checkpoint's folder (config.json, weights.safetensors) but is neither"
        )
    # Here, so that exported models need no torch.
    from knuckle.train.export import exported_model

    with tempfile.TemporaryDirectory(prefix="knuckle-") as folder:
        yield exported_model(path, Path(folder))


def predictions_of(
    path: Path,
    source: Source,
    *,
    format: str | None = None,
    conventions: Conventions | None = None,
    run: Run | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions from files, or from a model that is run.

    Args:
        path: what read_predictions takes, or a model (see onnx_file).
        source: the set's truth and pictures.
        format, conventions: of files.
        run: how a model is run; see run_model.
        advance: called after every file or hand.

    Raises:
        ValueError: `run` asks for something but path is not a model; or as of read_predictions and run_model.
    """
    run = run or Run()
    if is_model(path):
        return run_model(path, source, run, advance)
    for field in fields(run):
        if (value := getattr(run, field.name)) != field.default:
            raise ValueError(
                f"--{field.name.replace('_', '-')} {value} is for a model that is run, but {path} holds predictions; "
                "leave it out"
            )
    return read_predictions(path, source.truth, format=format, conventions=conventions, advance=advance)


def run_model(
    path: Path, source: Source, run: Run | None = None, advance: Callable[[], None] = lambda: None
) -> Predictions:
    """Predictions of a hand network for the hands of a data set.

    Args:
        path: see onnx_file.
        source: the set's truth and pictures.
        run: how it is run.
        advance: called after every hand.

    Raises:
        ValueError: the set has no pictures, the model is not a hand network with a contract, or the scale or the shape
            is the truth's and crops are not, the network predicts the size, or a label has no joints in space or shape.
    """
    run = run or Run()
    for name in ("scale", "shape"):
        if getattr(run, name) == "truth" and run.crops != "truth":
            raise ValueError(f"--{name} truth must come with --crops truth, which says whose it is, but came without")
    samples = source.samples
    if samples is None:
        raise ValueError(f"{path} is a model, which needs pictures to run on, but the data set has none")
    predictor = _open(path, run)
    hand = run.hand or ("network" if run.scale == "truth" else None)
    scored = "both" if hand is None else "network" if hand == "network" else "hand"
    if run.crops == "truth":
        taken = [name for name in ("crops", "scale", "shape") if getattr(run, name) == "truth"]
        name = f"{path} ({' and '.join(taken)} from the truth)"
        return run_on_crops(
            samples(), lambda s: _at_truth(predictor, s, run), source.truth, name, advance, scored=scored
        )
    return run_predictor(
        samples(), lambda s: _in_picture(predictor, s), source.truth, str(path), advance, scored=scored
    )


def _open(path: Path, run: Run) -> Predictor:
    config, model = PredictorConfig(), HandModel.open()
    explain = None
    if run.hand in ("ik", "refined"):
        constants = FitConstants.of(model)
        with onnx_file(run.ik or weights_path("ik")) as file:
            ik = IKGraph(file, constants)
        if run.hand == "ik" and run.shape == "truth" and "shape" not in ik.contract.inputs:
            raise ValueError("--shape truth must come with an --ik for known shapes but this network finds its own")
        explain = FitExplain(model, config, solve=IKAlone(ik) if run.hand == "ik" else Refinement(constants, ik))
    elif run.ik is not None:
        raise ValueError(f"--ik {run.ik} must come with --hand ik or --hand refined but came with --hand {run.hand}")
    with onnx_file(path) as file:
        return Predictor(hand=file, explain=explain, config=config)


def _in_picture(predictor: Predictor, sample: Sample) -> list[Hand]:
    return [] if sample.image is None else predictor(sample.image, sample.camera)


def _at_truth(predictor: Predictor, sample: Sample, run: Run) -> Hand | None:
    joints = sample.joints_image
    if joints is None and sample.joints_camera is not None and sample.camera is not None:
        joints = sample.camera.project(sample.joints_camera)
    if sample.image is None or joints is None:
        return None
    length = _true_length(sample, predictor.contract.bone) if run.scale == "truth" else None
    shape = _true_shape(sample, predictor) if run.shape == "truth" else None
    return predictor.at_joints(sample.image, joints, sample.side or "right", sample.camera, length, shape)


def _true_shape(sample: Sample, predictor: Predictor) -> np.ndarray:
    """(S,) of the label."""
    count = len(predictor.model.shape_names)
    if sample.shape is None or np.shape(sample.shape) != (count,) or not np.isfinite(sample.shape).all():
        got = "none" if sample.shape is None else f"{np.shape(sample.shape)}"
        raise ValueError(
            f"--shape truth needs the {count} shape numbers of this hand model but {sample.id} has {got}; leave it out"
        )
    return np.asarray(sample.shape, float)


def _true_length(sample: Sample, bone: tuple[int, int]) -> float:
    """Metres between two joints of the truth."""
    start, end = bone
    length = (
        np.nan
        if sample.joints_camera is None
        else np.linalg.norm(sample.joints_camera[end] - sample.joints_camera[start])
    )
    if not length > 0:
        raise ValueError(
            f"--scale truth needs joints {start} and {end} in space but {sample.id} has not both; leave it out"
        )
    return float(length)
