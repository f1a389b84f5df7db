"""Checkpoints: a folder with safetensors and the configuration as JSON, there complete or not at all."""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from knuckle.files import InputError, load_json, sync
from knuckle.systems.tensors import read_tensors

_MAX_CONFIG = 2**24
_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back.

    Attributes:
        about: what was given to `save` beside tensors.
        weights: the averaged weights, those to be used.
        state: the rest that an exact resume needs, empty where it was dropped.
    """

    about: dict[str, Any]
    weights: dict[str, Tensor]
    state: dict[str, Tensor]


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step belongs."""
    return run / f"step-{step:07d}"


def step_of(folder: Path) -> int:
    """The step of a checkpoint by its folder's name."""
    return int(folder.name.removeprefix("step-"))


def newest(run: Path) -> Path | None:
    """The last complete checkpoint of a run; None where there is none."""
    found = checkpoints(run)
    return found[-1] if found else None


def checkpoint_of(folder: Path) -> Path:
    """The folder itself, or of the folder of a run its last complete checkpoint.

    Raises:
        FileNotFoundError: it is neither.
    """
    if (folder / "config.json").exists():
        return folder
    last = newest(folder)
    if last is None:
        what = "holds none" if folder.is_dir() else "does not exist"
        raise FileNotFoundError(f"{folder} must be a checkpoint (a folder step-...), or hold some, but {what}")
    return last


def save(
    run: Path, step: int, about: dict[str, Any], weights: dict[str, Tensor], state: dict[str, Tensor], keep: int = 2
) -> Path:
    """Writes `run/step-N` and removes all but the newest `keep`.

    Raises:
        OSError: it cannot be written, as where the disk is full.
    """
    folder = folder_of(run, step)
    unfinished = run / f".step-{step:07d}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    _write_tensors(weights, unfinished / "weights.safetensors")
    if state:
        _write_tensors(state, unfinished / "state.safetensors")
    (unfinished / "config.json").write_text(json.dumps(about, indent=1) + "\n")
    # On the disk before it has its name: a crash of the machine leaves a whole checkpoint or none.
    for path in (*unfinished.iterdir(), unfinished):
        sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    sync(run)
    for old in checkpoints(run)[:-keep]:
        shutil.rmtree(old)
    return folder


def _write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file({name: t.detach().contiguous().cpu() for name, t in tensors.items()}, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written ({error}); make room, and start again") from error


def checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = [p for p in run.glob("step-*") if _NAME.fullmatch(p.name) and (p / "config.json").exists()]
    return sorted(found, key=step_of)


def load(folder: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        FileNotFoundError: it is none.
        InputError: a file of it is damaged.
    """
    if not (folder / "config.json").exists() or not (folder / "weights.safetensors").exists():
        last = newest(folder)
        hint = f"; the last one of this run is {last}" if last else ""
        raise FileNotFoundError(f"{folder} must be a checkpoint (config.json, weights.safetensors) but is none{hint}")
    state = folder / "state.safetensors"
    try:
        about = load_json(folder / "config.json", _MAX_CONFIG)
        if not isinstance(about, dict):
            raise ValueError("config.json holds no names")
        return Checkpoint(
            about, read_tensors(folder / "weights.safetensors"), read_tensors(state) if state.exists() else {}
        )
    except ValueError as error:
        raise InputError(f"{folder} must be a checkpoint but is damaged ({error}); train or copy it again") from error


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors."""
    return {
        f"optimiser.{index}.{name}": value
        for index, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts the tensors of `optimiser_tensors` back."""
    whole = optimiser.state_dict()
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            states.setdefault(int(index), {})[name] = value
    whole["state"] = states
    optimiser.load_state_dict(whole)


def load_weights(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Strictly: every name and shape must fit.

    Raises:
        ValueError: one does not: the weights are of another configuration.
    """
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise InputError(f"the weights must be of a network of this configuration but are not: {first}") from error


def begin_with(network: nn.Module, weights: dict[str, Tensor]) -> list[str]:
    """Gives a network the weights of another of its kind, which may have a part more or less.

    Args:
        network: parts (its direct modules) that the weights lack keep their own.
        weights: those of parts that the network lacks are left out.

    Returns:
        A line for each such part.

    Raises:
        ValueError: none of the parts fits, or one fits in part.
    """
    own = network.state_dict()

    def parts(names: Iterable[str]) -> set[str]:
        return {name.split(".")[0] for name in names}

    new, unused = parts(own) - parts(weights), parts(weights) - parts(own)
    kept = {name: value for name, value in weights.items() if name.split(".")[0] not in unused}
    if not kept:
        raise ValueError(f"the weights must be of a network of this kind but are of {', '.join(sorted(unused))}")
    load_weights(network, kept | {name: value for name, value in own.items() if name.split(".")[0] in new})
    lines = [f"{part} begins anew: the checkpoint has no weights of it" for part in sorted(new)]
    # Whoever wrote the checkpoint chose their names.
    named = [part if part.isidentifier() else repr(part) for part in sorted(unused)]
    return lines + [f"{part} of the checkpoint is left out: the network has no such part" for part in named]
