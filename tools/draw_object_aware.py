"""Pictures of the object-aware system: codes by category, masks and poses on held things, curves, and a line of poses.

    python tools/draw_object_aware.py codes PRIOR TRIPLET --data pictures --out codes.png
    python tools/draw_object_aware.py held TRIPLET --data photographs --out held.png
    python tools/draw_object_aware.py curves prior.json triplet.json --key joints_root_scale --out curves.png
    python tools/draw_object_aware.py line TRIPLET --data pictures --ends 0,7 --out line.png

PRIOR and TRIPLET are checkpoints, or exported models for `held`; pictures are shards of `knuckle synth`; photographs
are any files; prior.json is of `knuckle eval --json`. `codes` draws the two main axes of each checkpoint's codes, the
paper's Fig. 3; `held` its Fig. 5; `curves` its Fig. 6. `line` decodes poses between the codes of two hands, as meshes.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.evaluate.plots import draw_curves
from knuckle.files import atomic_write
from knuckle.fit import fit_hand
from knuckle.handmodel import HandModel
from knuckle.image.read import read_picture
from knuckle.models import onnx_file
from knuckle.networks.object_aware import ObjectAwareNetwork
from knuckle.predict import Predictor
from knuckle.predict.masks import hand_masks
from knuckle.predict.sources import expand
from knuckle.results import draw_hands
from knuckle.sample import Batch
from knuckle.systems.object_aware import BONE, ObjectAware
from knuckle.systems.object_aware_config import parts_of
from knuckle.systems.system import Moment
from knuckle.train.examples import make_batch
from knuckle.train.export import open_checkpoint

_COLORS = ((39, 125, 161), (230, 57, 70), (94, 181, 81), (244, 162, 97), (130, 80, 190), (90, 90, 100))
_PANEL = 520
_TILE = 256


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("codes", "held", "curves", "line"):
        command = commands.add_parser(name)
        command.add_argument("given", type=Path, nargs="+" if name in ("codes", "curves") else 1)
        command.add_argument("--out", type=Path, required=True)
        if name != "curves":
            command.add_argument("--data", type=str, required=True)
            command.add_argument("--count", type=int, default=400 if name == "codes" else 8)
    commands.choices["curves"].add_argument("--key", default="joints_root_scale")
    commands.choices["line"].add_argument("--ends", default="0,1", help="indices of the two hands")
    options = parser.parse_args(arguments)
    draw = {"codes": draw_codes, "held": draw_held, "curves": draw_all_curves, "line": draw_line}[options.command]
    picture = draw(options)
    with atomic_write(options.out) as unfinished:
        unfinished.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    print(options.out)
    return 0


def draw_codes(options: argparse.Namespace) -> np.ndarray:
    """A panel for each checkpoint."""
    panels = []
    for checkpoint in options.given:
        system, network, batch = _hands(checkpoint, options.data, options.count)
        codes = _codes(system, network, batch)
        categories = batch.object_category or (None,) * len(batch)
        panels.append(scatter(codes, categories, system.config.categories, str(checkpoint)))
    return np.concatenate(panels, axis=1)


def scatter(
    codes: np.ndarray, categories: Sequence[str | None], names: Sequence[str], title: str, size: int = _PANEL
) -> np.ndarray:
    """Codes (N, D) along the two directions in which they vary most, coloured by category: (size, size, 3) RGB."""
    centred = codes - codes.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    places = centred @ axes.T
    places = places / max(float(np.abs(places).max()), 1e-9)
    canvas = np.full((size, size, 3), 255, np.uint8)
    for place, category in zip(places, categories, strict=True):
        color = _COLORS[names.index(category) % 5] if category in names else _COLORS[5]
        at = np.rint((0.5 + 0.44 * place) * size * 16).astype(int)
        cv2.circle(canvas, (int(at[0]), int(at[1])), 4 * 16, color, -1, cv2.LINE_AA, 4)
    for i, name in enumerate(names):
        cv2.putText(canvas, name, (10, size - 12 - 18 * i), 0, 0.5, _COLORS[i % 5], 1, cv2.LINE_AA)
    cv2.putText(canvas, title[-60:], (10, 20), 0, 0.45, (40, 40, 45), 1, cv2.LINE_AA)
    return canvas


def draw_held(options: argparse.Namespace) -> np.ndarray:
    """Rows of a picture, its visible and complete masks, and the hands over it."""
    files, problems = expand([options.data])
    for line in problems:
        print(line, file=sys.stderr)
    with onnx_file(options.given[0]) as file:
        predictor = Predictor(hand=file)
    rows = []
    for file in files[: options.count]:
        image = read_picture(file)
        hands = predictor(image, check_channels=False)
        size = (image.shape[1], image.shape[0])
        tiles = [image]
        masks = hand_masks(hands, predictor.model, size)
        for name in ("visible", "complete"):
            shown = [mask for m in masks if (mask := getattr(m, name)) is not None]
            tiles.append(_tinted(image, np.any(shown, axis=0) if shown else np.zeros(image.shape[:2], bool)))
        tiles.append(draw_hands(image, hands))
        rows.append(np.concatenate([_tile(tile) for tile in tiles], axis=1))
    if not rows:
        raise SystemExit(f"{options.data} must hold pictures but has none")
    return np.concatenate(rows)


def draw_all_curves(options: argparse.Namespace) -> np.ndarray:
    """The share of joints within a threshold, a curve for each file of scores."""
    curves = {}
    for path in options.given:
        found = json.loads(path.read_text())["curves"]
        if options.key not in found:
            raise SystemExit(f"{path} must have the curve {options.key} but has {', '.join(found)}")
        factor = 1.0 if options.key == "image" else 1e3
        curve = found[options.key]
        curves[path.stem] = (factor * np.array(curve["thresholds"]), np.array(curve["pck"], float))
    unit = "px" if options.key == "image" else "mm"
    return draw_curves(curves, f"error threshold, {unit}", options.key)


def draw_line(options: argparse.Namespace) -> np.ndarray:
    """Meshes of poses that are decoded at equal steps from one hand's code to another's."""
    from knuckle.view.mesh import blend
    from knuckle.view.sheet import render_view

    ends = [int(text) for text in options.ends.split(",")]
    system, network, batch = _hands(options.given[0], options.data, max(ends) + 1)
    codes = torch.from_numpy(_codes(system, network, batch)[ends])
    steps = torch.linspace(0, 1, options.count)[:, None]
    side = torch.tensor([[0.0, 1.0]]).expand(options.count, 2)
    if system.config.bypass or not system.config.pose_latent:
        raise SystemExit(f"{options.given[0]} must decode poses from a code but does not")
    with torch.no_grad():
        canonical = network.lift.prior.decode((1 - steps) * codes[0] + steps * codes[1], side)
    # Canonical poses are of left hands.
    joints = canonical.double().numpy() * np.array([1.0, 1.0, -1.0])
    model = HandModel.open()
    rest = np.asarray(model.joints_rest)
    fitted = fit_hand(model, joints * np.linalg.norm(rest[BONE[1]] - rest[BONE[0]]), side="right")
    tiles = []
    for angles, shape in zip(fitted.angles, fitted.shape, strict=True):
        posed = model(angles, shape=shape)
        mesh = render_view(np.asarray(posed.vertices), np.asarray(model.faces), "palm", _TILE, focus=rest)
        tiles.append(blend(np.full((_TILE, _TILE, 3), 255, np.uint8), mesh))
    return np.concatenate(tiles, axis=1)


def _hands(checkpoint: Path, data: str, count: int) -> tuple[ObjectAware, ObjectAwareNetwork, Batch]:
    """The system and network of a checkpoint, and crops of the first hands of a set, at evaluation."""
    system, network = open_checkpoint(checkpoint)
    if not isinstance(system, ObjectAware) or "lift" not in system.config.parts:
        raise SystemExit(f"{checkpoint} must be an object-aware network with its lift into space but is not")
    assert isinstance(network, ObjectAwareNetwork)
    with tempfile.TemporaryDirectory(prefix="knuckle-") as folder:
        source = system.source([DataSet(parse_spec(data), limit=count)], Path(folder), lambda name, found: None)
        rows = np.arange(min(count, len(source)))
        return system, network, make_batch(source, rows, range(len(rows)), (0,))


def _codes(system: ObjectAware, network: ObjectAwareNetwork, batch: Batch) -> np.ndarray:
    """(N, D) of the poses, from true heatmaps."""
    stage = min((s for s in system.stages if "lift" in parts_of(s)), key=lambda s: len(parts_of(s)))
    with torch.no_grad():
        output = system.forward(network, batch, Moment(0, 1.0, stage, torch.Generator().manual_seed(0)))
    assert output.pose is not None
    return output.pose.mean.numpy()


def _tinted(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    tinted = image // 2
    tinted[mask] = image[mask] // 2 + np.array([20, 127, 20], np.uint8)
    return tinted


def _tile(image: np.ndarray) -> np.ndarray:
    """A picture in the middle of a white square."""
    scale = _TILE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:_TILE, :_TILE]
    tile = np.full((_TILE, _TILE, 3), 255, np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile


if __name__ == "__main__":
    sys.exit(main())
