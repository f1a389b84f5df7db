"""From a float ONNX file to one that multiplies 8-bit integers: about half of the time and a third of the space.

Weights and features become integers, layer by layer, with scales from pictures that the network is shown. The two
layers next to the pixels and the one that says coordinates stay as they are: there a step of 1/128 of the range is too
coarse, and the first ones would not even get faster.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import UInt8
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from knuckle.files import atomic_write
from knuckle.sample import Sample
from knuckle.systems.system import Example, System

# Of the features seen; the few above are cut off so that the others keep finer steps.
_PERCENTILE = 99.999
_BATCH = 16


def quantise_onnx(source: Path, pictures: UInt8[np.ndarray, "n h w 3"], out: Path) -> None:
    """Writes the 8-bit version of an exported network.

    Weights have 7 bits: the products of two neighbours then fit the 16 bits in which processors without VNNI add them.

    Args:
        source: as `export_onnx` wrote it.
        pictures: inputs as the network will see them; some hundreds.
        out: the file.

    Raises:
        ValueError: there are no pictures.
    """
    if not len(pictures):
        raise ValueError("pictures must hold inputs to take the ranges of the features from but got none")
    with tempfile.TemporaryDirectory(prefix="knuckle-") as folder:
        prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
        quant_pre_process(source, prepared)
        with contextlib.redirect_stdout(io.StringIO()):  # where the library says what it is at
            quantize_static(
                prepared,
                made,
                _Pictures(pictures),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=outer_convolutions(onnx.load(prepared)),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={"CalibPercentile": _PERCENTILE},
            )
        with atomic_write(out) as unfinished:
            unfinished.write_bytes(made.read_bytes())


def network_inputs(
    system: System, pictures: Iterable[tuple[np.ndarray, Sequence[Sample]]], count: int = 512
) -> UInt8[np.ndarray, "n h w 3"]:
    """What the network of a system sees of the first labelled pictures, made as in training; the same each time."""
    kept: list[Example] = []
    for picture, samples in pictures:
        kept += system.records(picture, samples)
        if len(kept) >= count:
            break
    if not kept:
        raise ValueError("the data must hold at least one picture of use to this system but got none; check the folder")
    records = {name: np.stack([np.asarray(record[name]) for record in kept]) for name in kept[0]}
    examples = (system.example(records, i, np.random.default_rng([0, i])) for i in range(min(len(kept), count)))
    return np.stack([example["picture"] for example in examples])


def outer_convolutions(model: onnx.ModelProto, first: int = 2) -> list[str]:
    """Names of the convolutions with fewer than `first` others before them, one after the other, or none after."""
    depth: dict[str, int] = {}  # of each tensor: convolutions on the longest way to it
    before: dict[str, set[str]] = {}  # the convolutions that a tensor depends on
    outer, followed = [], set()
    for node in model.graph.node:  # in an order in which they can be worked out
        way = max((depth.get(name, 0) for name in node.input), default=0)
        past = set().union(*(before.get(name, set()) for name in node.input))
        if node.op_type == "Conv":
            followed |= past
            if way < first:
                outer.append(node.name)
            way, past = way + 1, past | {node.name}
        for name in node.output:
            depth[name], before[name] = way, past
    last = [n.name for n in model.graph.node if n.op_type == "Conv" and n.name not in followed | set(outer)]
    return outer + last


class _Pictures(CalibrationDataReader):
    """Hands the library batches of one size, as it wants them; the few pictures left over are not used."""

    def __init__(self, pictures: UInt8[np.ndarray, "n h w 3"]) -> None:
        size = min(_BATCH, len(pictures))
        starts = range(0, len(pictures) - size + 1, size)
        self._batches: Iterator[np.ndarray] = iter([pictures[start : start + size] for start in starts])

    def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}
