"""Models given by a path: an exported ONNX file, or a checkpoint's folder, which is exported to a temporary file."""

import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from knuckle.evaluate.data import Predictions, Truth
from knuckle.evaluate.matching import PredictedRow, answer_rows, match_rows, mesh_size, predicted_rows
from knuckle.evaluate.parts import pack_rows, part_name, unpack_rows
from knuckle.evaluate.predictions import Conventions, read_predictions
from knuckle.evaluate.sources import ReadPart, SetPictures, Source
from knuckle.files import load_npz
from knuckle.fit import FitConstants
from knuckle.handmodel import HandModel
from knuckle.predict import Predictor, PredictorConfig
from knuckle.predict.ensemble import Ensemble
from knuckle.predict.explain import FitExplain
from knuckle.predict.ik import IKGraph
from knuckle.predict.network import HandGraph
from knuckle.predict.solve import IKAlone, Refinement
from knuckle.sample import Hand, Sample
from knuckle.version import __version__
from knuckle.weights import weights_path
from knuckle.workers import KeptParts, OpenWork, Work, Workers, digest, map_parts


@dataclass(frozen=True)
class Run:
    """How `knuckle eval` runs a model.

    Attributes:
        crops: "detector" finds the hands as `knuckle predict` does, and matches them to the truth. "truth" crops around
            the true joints, mirrored by the true side, as papers do; every labelled hand has a prediction.
        scale: size of the hand where the network predicts none. "adult" is an average adult's. "truth" is that at which
            the bone of the contract has its true length, as papers do that are given it; it needs crops from the truth.
        depth: of the contract's root. "network" is what the network gives, or what follows from the length of the bone.
            "truth" is the label's, for a network of 2.5D coordinates; it needs the scale from the truth.
        shape: "unknown", or "truth", that of the label, which the hand is then posed with.
        hand: what is scored: the network's own joints and mesh ("network"), or the hand that is found for these by a
            fit ("fit"), by an inverse-kinematics network ("ik") or by S4's refinement of that ("refined"). None for the
            fitted hand with the network's own mesh, where it predicts one; with the true scale, "network".
        ik: of "ik" and "refined", a model of the system "ik"; the package's own if None.
        ensemble: further models with the same contract, whose outputs are averaged with the model's.
    """

    crops: Literal["truth", "detector"] = "detector"
    scale: Literal["truth", "adult"] = "adult"
    shape: Literal["truth", "unknown"] = "unknown"
    hand: Literal["network", "fit", "ik", "refined"] | None = None
    ik: Path | None = None
    depth: Literal["truth", "network"] = "network"
    ensemble: tuple[Path, ...] = ()


def is_model(path: Path) -> bool:
    """Whether a path is that of a model, not of predictions."""
    return path.suffix == ".onnx" or (path / "weights.safetensors").exists()


def _last_checkpoint(run: Path) -> str:
    """Of a run whose folder was given in place of one of its checkpoints, a hint; known without torch."""
    found = sorted(run.glob("step-*/weights.safetensors"), key=lambda path: (len(path.parent.name), path))
    return f"; the last one of this run is {found[-1].parent}" if found else ""


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
            f"{_last_checkpoint(path)}"
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
    workers: Workers | None = None,
    kept: KeptParts | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions from files, or from a model that is run.

    Args:
        path: what read_predictions takes, or a model (see onnx_file).
        source: the set's truth and pictures.
        format, conventions: of files.
        run: how a model is run; see run_model.
        workers: who runs a model; this process if None.
        kept: of a model's run; see run_model.
        advance: called after every file or hand.

    Raises:
        ValueError: `run` asks for something but path is not a model; or as of read_predictions and run_model.
    """
    run = run or Run()
    if is_model(path):
        return run_model(path, source, run, workers, kept, advance)
    for field in fields(run):
        if (value := getattr(run, field.name)) != field.default:
            given = " ".join(map(str, value)) if isinstance(value, tuple) else value
            raise ValueError(
                f"--{field.name.replace('_', '-')} {given} is for a model that is run, but {path} holds predictions; "
                "leave it out"
            )
    if kept is not None or not (workers is None or workers.here):
        raise ValueError(
            f"--workers, --ray and --parts are for a model that is run, but {path} holds predictions; leave them out"
        )
    return read_predictions(path, source.truth, format=format, conventions=conventions, advance=advance)


def run_model(
    path: Path,
    source: Source,
    run: Run | None = None,
    workers: Workers | None = None,
    kept: KeptParts | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions of a hand network for the hands of a data set; the same whoever the workers are.

    Args:
        path: see onnx_file.
        source: the set's truth and pictures. Workers on other machines find them under the same paths.
        run: how it is run.
        workers: who runs it; this process if None.
        kept: of an earlier call that was interrupted; cleared when all is done.
        advance: called after every hand.

    Raises:
        ValueError: the set has no pictures, the model is not a hand network with a contract, or the scale or the shape
            is the truth's and crops are not, the network predicts the size, or a label has no joints in space or shape.
        ImportError, ConnectionError, ChildProcessError: as of `map_parts`.
    """
    run, workers = run or Run(), workers or Workers(0)
    for name in ("scale", "shape"):
        if getattr(run, name) == "truth" and run.crops != "truth":
            raise ValueError(f"--{name} truth must come with --crops truth, which says whose it is, but came without")
    if run.depth == "truth" and run.scale != "truth":
        raise ValueError("--depth truth must come with --scale truth, the size of the same hand, but came without")
    if source.samples is None:
        raise ValueError(f"{path} is a model, which needs pictures to run on, but the data set has none")
    recipe, predictor = _recipe(path, run)
    mesh = mesh_size(source.truth)
    if isinstance(source.samples, SetPictures):
        rows = _rows_in_parts(recipe, predictor, source.samples, source.truth, workers, kept, advance)
    else:
        rows = []
        for row in _rows(predictor, run, mesh, source.samples()):
            rows.append(row)
            advance()
    if run.crops == "truth":
        taken = [name for name in ("crops", "scale", "depth", "shape") if getattr(run, name) == "truth"]
        return answer_rows(rows, source.truth, f"{path} ({' and '.join(taken)} from the truth)")
    return match_rows(rows, source.truth, str(path))


def _rows_in_parts(
    recipe: "ModelRecipe",
    predictor: Predictor,
    pictures: SetPictures,
    truth: Truth,
    workers: Workers,
    kept: KeptParts | None,
    advance: Callable[[], None],
) -> list[PredictedRow]:
    parts, mesh = pictures.parts(), mesh_size(truth)
    names = [digest([recipe.key(), mesh, part_name(pictures, part, truth)]) for part in parts]
    found: dict[int, list[PredictedRow]] = {}
    for number, name in enumerate(names):
        if kept is not None and (file := kept.path(name)) is not None:
            found[number] = unpack_rows(load_npz(file))
    pending = [number for number in range(len(parts)) if number not in found]
    done: Counter[int] = Counter({number: len(rows) for number, rows in found.items()})
    shown = 0

    def report(number: int, rows: int) -> None:
        nonlocal shown
        done[pending[number]] = rows
        for _ in range(done.total() - shown):
            advance()
        shown = max(shown, done.total())

    open_work: OpenWork = partial(_open_rows, recipe, mesh, pictures)
    if workers.here:
        open_work = partial(partial, _part_rows, predictor, recipe.run, mesh, pictures.open())
    with closing(map_parts(open_work, [parts[number] for number in pending], workers, report)) as results:
        for number, rows in results:
            found[pending[number]] = rows
            if kept is not None:
                kept.save(names[pending[number]], pack_rows(rows))
            report(number, len(rows))
    if kept is not None:
        kept.clear()
    return [row for number in range(len(parts)) for row in found[number]]


def _open_rows(recipe: "ModelRecipe", mesh: int | None, pictures: SetPictures) -> Work:
    """A worker's own predictor."""
    cv2.setNumThreads(1)
    return partial(_part_rows, recipe.open(), recipe.run, mesh, pictures.open())


def _part_rows(
    predictor: Predictor, run: Run, mesh: int | None, read: ReadPart, part: range
) -> Generator[int, None, list[PredictedRow]]:
    rows = []
    for row in _rows(predictor, run, mesh, read(part)):
        rows.append(row)
        yield len(rows)
    return rows


def _rows(predictor: Predictor, run: Run, mesh: int | None, samples: Iterable[Sample]) -> Iterator[PredictedRow]:
    """What the model says about samples, in their order."""
    hand = run.hand or ("network" if run.scale == "truth" else None)
    scored = "both" if hand is None else "network" if hand == "network" else "hand"
    each = run.crops == "truth"
    ask = _at_truth if each else _in_picture
    return predicted_rows(samples, lambda s: ask(predictor, s, run), mesh, scored=scored, each=each)


@dataclass(frozen=True)
class ModelRecipe:
    """What another process, or another machine, runs the same model from: its files' content, and how it is run."""

    hands: tuple[bytes, ...]
    ik: bytes | None
    run: Run

    def open(self) -> Predictor:
        """The predictor."""
        with tempfile.TemporaryDirectory(prefix="knuckle-") as name:
            hands = [Path(name) / f"hand-{number}.onnx" for number in range(len(self.hands))]
            for file, content in zip(hands, self.hands, strict=True):
                file.write_bytes(content)
            ik = Path(name) / "ik.onnx"
            ik.write_bytes(self.ik or b"")
            return _open(hands, None if self.ik is None else ik, self.run)

    def key(self) -> str:
        """Another one for models with other results."""
        # Files count by what is in them.
        names = [field.name for field in fields(self.run) if field.name not in ("ik", "ensemble")]
        run = {name: getattr(self.run, name) for name in names}
        return digest(*self.hands, self.ik or b"", [__version__, run])


def _recipe(path: Path, run: Run) -> tuple[ModelRecipe, Predictor]:
    """Of a model, and the model itself: what is wrong with it is said with its own name."""
    posed = run.hand in ("ik", "refined")
    if run.ik is not None and not posed:
        raise ValueError(f"--ik {run.ik} must come with --hand ik or --hand refined but came with --hand {run.hand}")
    with ExitStack() as files:
        ik = files.enter_context(onnx_file(run.ik or weights_path("ik"))) if posed else None
        hands = [files.enter_context(onnx_file(one)) for one in (path, *run.ensemble)]
        predictor = _open(hands, ik, run)
        return ModelRecipe(
            tuple(hand.read_bytes() for hand in hands), None if ik is None else ik.read_bytes(), run
        ), predictor


def _open(hands: Sequence[Path], ik: Path | None, run: Run) -> Predictor:
    config, model = PredictorConfig(), HandModel.open()
    explain = None
    if ik is not None:
        constants = FitConstants.of(model)
        graph = IKGraph(ik, constants)
        if run.hand == "ik" and run.shape == "truth" and "shape" not in graph.contract.inputs:
            raise ValueError("--shape truth must come with an --ik for known shapes but this network finds its own")
        explain = FitExplain(model, config, solve=IKAlone(graph) if run.hand == "ik" else Refinement(constants, graph))
    hand = hands[0] if len(hands) == 1 else Ensemble([HandGraph(file) for file in hands])
    return Predictor(hand=hand, explain=explain, config=config)


def _in_picture(predictor: Predictor, sample: Sample, run: Run) -> list[Hand]:
    return [] if sample.image is None else predictor(sample.image, sample.camera, check_channels=False)


def _at_truth(predictor: Predictor, sample: Sample, run: Run) -> list[Hand]:
    joints = sample.joints_image
    if joints is None and sample.joints_camera is not None and sample.camera is not None:
        joints = sample.camera.project(sample.joints_camera)
    if sample.image is None or joints is None:
        return []
    length = _true_length(sample, predictor.contract.bone) if run.scale == "truth" else None
    shape = _true_shape(sample, predictor) if run.shape == "truth" else None
    corners = None
    if sample.object_corners_camera is not None and sample.camera is not None:
        corners = np.asarray(sample.camera.project(sample.object_corners_camera))
    # Joints in space are there: they gave the length of the bone.
    depth = float(sample.joints_camera[predictor.contract.root, 2]) if run.depth == "truth" else None  # pyright: ignore[reportOptionalSubscript]
    hand = predictor.at_joints(
        *(sample.image, joints, sample.side or "right", sample.camera, length, shape, depth),
        corners_image=corners,
        visibility=sample.visibility,
    )
    return [] if hand is None else [hand]


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
