"""From a checkpoint to ONNX files that say in their metadata what they need and give."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jaxtyping
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from knuckle.files import InputError, atomic_write
from knuckle.systems import open_system
from knuckle.systems.system import Graph, System
from knuckle.systems.tensors import no_larger_than
from knuckle.train import checkpoint

# Tensors smaller than this stay as they are: halving them saves nothing.
_LARGE = 256
_LARGEST_HALF = float(np.finfo(np.float16).max)


def open_checkpoint(folder: Path) -> tuple[System, nn.Module]:
    """The system of a checkpoint, and its network with the averaged weights, ready to be used.

    Raises:
        FileNotFoundError: the folder is no checkpoint.
        InputError: it is damaged, or its system or configuration is another network's, or none.
    """
    loaded = checkpoint.load(folder)
    try:
        system = open_system(str(loaded.about.get("system")), loaded.about.get("config"))
        with no_larger_than(loaded.weights):
            network = system.network()
    except (ValueError, RuntimeError, TypeError, ArithmeticError, LookupError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{folder} must hold a configuration that a network can be built of but {reason}") from error
    checkpoint.load_weights(network, loaded.weights)
    return system, network.eval()


def exported_model(folder: Path, out: Path) -> Path:
    """The main graph of a checkpoint as `out/NAME.onnx`."""
    system, network = open_checkpoint(folder)
    name, graph = next(iter(system.graphs(network).items()))
    export_onnx(graph, out / f"{name}.onnx")
    return out / f"{name}.onnx"


def export_onnx(graph: Graph, out: Path, half: bool = False) -> None:
    """Writes one ONNX file, its inputs and outputs named by the contract, with a free first axis.

    Args:
        graph: in evaluation mode; left as it is.
        out: the file.
        half: hold large weights as float16, in half the space; they are used as float32, rounded.
    """
    module = fused(copy.deepcopy(graph.module).eval())
    batch = torch.export.Dim("batch", min=1, max=256)
    # The exporter reports its progress through warnings and the log; what goes wrong it raises.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _unchecked_shapes():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            graph.inputs,
            input_names=list(graph.contract.inputs),
            output_names=list(graph.contract.outputs),
            dynamic_shapes=tuple({0: batch} for _ in graph.inputs),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export must return a program but returned None; check the version of torch")
    model = program.model_proto
    if half:
        _hold_as_half(model)
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in model.graph.value_info:
        del value.metadata_props[:]
    write_model(model, graph, out)


@contextmanager
def _unchecked_shapes() -> Iterator[None]:
    """Where annotated shapes are checked at run time, as in tests, a check would fix the axis that is to be free."""
    before = bool(jaxtyping.config.jaxtyping_disable)
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def write_model(model: onnx.ModelProto, graph: Graph, out: Path) -> None:
    """Checks a model and writes it with its contract."""
    helper.set_model_props(model, graph.contract.to_metadata())
    onnx.checker.check_model(model)
    with atomic_write(out) as unfinished:
        unfinished.write_bytes(model.SerializeToString())


def fused(module: nn.Module) -> nn.Module:
    """The module with every batch normalisation that follows a convolution taken into it; equal up to rounding."""
    for child in module.modules():
        if not isinstance(child, nn.Sequential) or len(child) != 2:
            continue
        conv, norm = child
        # A subclass may do more, as timm's that has an activation.
        if isinstance(conv, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
            child[0], child[1] = torch.nn.utils.fuse_conv_bn_eval(conv, norm), nn.Identity()
    return module


def _hold_as_half(model: onnx.ModelProto) -> None:
    """Stores large float32 weights as float16, each followed by a cast that the runtime folds away when it loads."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        # What float16 cannot hold would become infinite.
        if tensor.data_type != TensorProto.FLOAT or values.size < _LARGE or np.abs(values).max() > _LARGEST_HALF:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
