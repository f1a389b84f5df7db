"""Models given by a path: an exported ONNX file, or a checkpoint's folder, which is exported to a temporary file."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

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
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions from files, or from a model that is run.

    Args:
        path: what read_predictions takes, or a model (see onnx_file).
        source: the set's truth and pictures.
        format, conventions: of files.
        crops: of a model; see run_model.
        advance: called after every file or hand.

    Raises:
        ValueError: crops is "truth" but path is not a model; or as of read_predictions and run_model.
    """
    if is_model(path):
        return run_model(path, source, crops, advance)
    if crops == "truth":
        raise ValueError(f"--crops truth is for a model that is run, but {path} holds predictions; leave it out")
    return read_predictions(path, source.truth, format=format, conventions=conventions, advance=advance)


def run_model(
    path: Path,
    source: Source,
    crops: Literal["truth", "detector"] = "detector",
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions of a hand network for the hands of a data set.

    Args:
        path: see onnx_file.
        source: the set's truth and pictures.
        crops: "detector" finds the hands as `knuckle predict` does, and matches them to the truth. "truth" crops around
            the true joints, mirrored by the true side, as papers do; every labelled hand has a prediction.
        advance: called after every hand.

    Raises:
        ValueError: the set has no pictures, or the model is not a hand network with a contract.
    """
    samples = source.samples
    if samples is None:
        raise ValueError(f"{path} is a model, which needs pictures to run on, but the data set has none")
    with onnx_file(path) as file:
        predictor = Predictor(hand=file)
    if crops == "truth":
        name = f"{path} (crops from the truth)"
        return run_on_crops(samples(), lambda s: _at_truth(predictor, s), source.truth, name, advance)
    return run_predictor(samples(), lambda s: _in_picture(predictor, s), source.truth, str(path), advance)


def _in_picture(predictor: Predictor, sample: Sample) -> list[Hand]:
    return [] if sample.image is None else predictor(sample.image, sample.camera)


def _at_truth(predictor: Predictor, sample: Sample) -> Hand | None:
    joints = sample.joints_image
    if joints is None and sample.joints_camera is not None and sample.camera is not None:
        joints = sample.camera.project(sample.joints_camera)
    if sample.image is None or joints is None:
        return None
    return predictor.at_joints(sample.image, joints, sample.side or "right", sample.camera)
