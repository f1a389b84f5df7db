"""Models given by a path: an exported ONNX file, or a checkpoint's folder, which is exported to a temporary file."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from knuckle.evaluate.data import Predictions
from knuckle.evaluate.matching import run_on_crops, run_predictor
from knuckle.evaluate.predictions import Conventions, read_predictions
from knuckle.evaluate.sources import Source
from knuckle.predict import Predictor
from knuckle.sample import Hand, Sample


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
    crops: Literal["truth", "detector"] = "detector",
    scale: Literal["truth", "adult"] = "adult",
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions from files, or from a model that is run.

    Args:
        path: what read_predictions takes, or a model (see onnx_file).
        source: the set's truth and pictures.
        format, conventions: of files.
        crops, scale: of a model; see run_model.
        advance: called after every file or hand.

    Raises:
        ValueError: crops is "truth" but path is not a model; or as of read_predictions and run_model.
    """
    if is_model(path):
        return run_model(path, source, crops, scale, advance)
    if crops == "truth":
        raise ValueError(f"--crops truth is for a model that is run, but {path} holds predictions; leave it out")
    if scale == "truth":
        raise ValueError(f"--scale truth is for a model that is run, but {path} holds predictions; leave it out")
    return read_predictions(path, source.truth, format=format, conventions=conventions, advance=advance)


def run_model(
    path: Path,
    source: Source,
    crops: Literal["truth", "detector"] = "detector",
    scale: Literal["truth", "adult"] = "adult",
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions of a hand network for the hands of a data set.

    Args:
        path: see onnx_file.
        source: the set's truth and pictures.
        crops: "detector" finds the hands as `knuckle predict` does, and matches them to the truth. "truth" crops around
            the true joints, mirrored by the true side, as papers do; every labelled hand has a prediction.
        scale: size of the hand where the network predicts none. "adult" is an average adult's. "truth" is that at which
            the bone of the contract has its true length, as papers do that are given it; it needs crops from the truth,
            and the network's own joints are scored, without the fit to a hand.
        advance: called after every hand.

    Raises:
        ValueError: the set has no pictures, the model is not a hand network with a contract, or scale is "truth" and
            crops are not, the network predicts the size, or a hand has no joints in space.
    """
    if scale == "truth" and crops != "truth":
        raise ValueError("--scale truth must come with --crops truth, which says whose scale it is, but came without")
    samples = source.samples
    if samples is None:
        raise ValueError(f"{path} is a model, which needs pictures to run on, but the data set has none")
    with onnx_file(path) as file:
        predictor = Predictor(hand=file)
    if crops == "truth":
        true_scale = scale == "truth"
        name = f"{path} ({'crops and scale' if true_scale else 'crops'} from the truth)"
        return run_on_crops(
            samples(), lambda s: _at_truth(predictor, s, true_scale), source.truth, name, advance, fitted=not true_scale
        )
    return run_predictor(samples(), lambda s: _in_picture(predictor, s), source.truth, str(path), advance)


def _in_picture(predictor: Predictor, sample: Sample) -> list[Hand]:
    return [] if sample.image is None else predictor(sample.image, sample.camera)


def _at_truth(predictor: Predictor, sample: Sample, true_scale: bool) -> Hand | None:
    joints = sample.joints_image
    if joints is None and sample.joints_camera is not None and sample.camera is not None:
        joints = sample.camera.project(sample.joints_camera)
    if sample.image is None or joints is None:
        return None
    length = _true_length(sample, predictor.contract.bone) if true_scale else None
    return predictor.at_joints(sample.image, joints, sample.side or "right", sample.camera, length)


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
