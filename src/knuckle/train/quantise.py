"""From a float ONNX file to one that multiplies 8-bit integers: about half of the time and a third of the space.

Weights and features become integers, layer by layer, with scales from pictures that the network is shown. The two
layers next to the pixels and the one that says coordinates stay as they are: there a step of 1/128 of the range is too
coarse, and the first ones would not even get faster.
"""

import contextlib
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from knuckle.systems.system import Graph, Source
from knuckle.train.examples import make_batch
from knuckle.train.export import write_model

# Of the features seen; the few above are cut off so that the others keep finer steps.
_PERCENTILE = 99.999
_BATCH = 16


def quantise_onnx(source: Path, graph: Graph, inputs: Mapping[str, np.ndarray], out: Path) -> None:
    """Writes the 8-bit version of an exported network.

    Weights have 7 bits: the products of two neighbours then fit the 16 bits in which processors without VNNI add them.

    Args:
        source: as `export_onnx` wrote it.
        graph: what it was exported from; its contract goes into the file.
        inputs: as the network will see them, by name; some hundreds along the first axis.
        out: the file.

    Raises:
        ValueError: there are none.
    """
    if not len(next(iter(inputs.values()))):
        raise ValueError("inputs must hold examples to take the ranges of the features from but got none")
    with tempfile.TemporaryDirectory(prefix="knuckle-") as folder:
        prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
        quant_pre_process(source, prepared)
        with contextlib.redirect_stdout(io.StringIO()):  # where the library says what it is at
            quantize_static(
                prepared,
                made,
                _Batches(inputs),
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
        write_model(onnx.load(made), graph, out)


def network_inputs(graph: Graph, source: Source, count: int = 512) -> dict[str, np.ndarray]:
    """What an exported network will see of a source's examples, as they are made for training; the same each time.

    Raises:
        ValueError: the network has an input that a batch does not hold.
    """
    indices = np.linspace(0, len(source) - 1, min(count, len(source))).astype(int)
    batch = make_batch(source, indices, range(len(indices)), (0,))
    found = {}
    for name in graph.contract.inputs:
        if name == "image":
            found[name] = np.ascontiguousarray(batch.image.permute(0, 2, 3, 1).numpy())
        elif name == "K":
            if batch.camera is None or not batch.camera.K.isfinite().all():
                raise ValueError("the data must have cameras, as the network asks for K, but some pictures have none")
            found[name] = batch.camera.K.numpy().astype(np.float32)
        else:
            raise ValueError(f"ranges can be taken for the inputs image and K but the network asks for {name}")
    return found


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


class _Batches(CalibrationDataReader):
    """Hands the library batches of one size, as it wants them; the few examples left over are not used."""

    def __init__(self, inputs: Mapping[str, np.ndarray]) -> None:
        count = len(next(iter(inputs.values())))
        size = min(_BATCH, count)
        starts = range(0, count - size + 1, size)
        self._batches = iter([{n: values[at : at + size] for n, values in inputs.items()} for at in starts])

    def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return next(self._batches, None)
