"""From a float ONNX file to one that multiplies 8-bit integers: a half of the time and two thirds of the space.

Weights and features become integers, layer by layer, with scales from pictures that the network is shown. What reads
pixels and what says coordinates stays as it is: there a step of 1/128 of the range is too coarse.
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


def outer_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions before which, or after which, there is no other."""
    makers = {output: node for node in model.graph.node for output in node.output}
    within: set[str] = set()  # with another one after them
    outer = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            before = _convolutions_before(node, makers)
            within |= before
            if not before:
                outer.append(node.name)
    return outer + [n.name for n in model.graph.node if n.op_type == "Conv" and n.name not in within | set(outer)]


def _convolutions_before(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto]) -> set[str]:
    found: set[str] = set()
    waiting, seen = list(node.input), set()
    while waiting:
        name = waiting.pop()
        maker = makers.get(name)
        if maker is None or name in seen:
            continue
        seen.add(name)
        if maker.op_type == "Conv":
            found.add(maker.name)
        waiting += maker.input
    return found


class _Pictures(CalibrationDataReader):
    """Hands the library one batch after the other."""

    def __init__(self, pictures: UInt8[np.ndarray, "n h w 3"]) -> None:
        self._batches: Iterator[np.ndarray] = iter([pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH)])

    def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        batch = next(self._batches, None)
        return None if batch is None else {"pictures": batch}
