"""From a checkpoint to one ONNX file that does everything from the pixels on."""

import copy
import logging
import warnings
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from knuckle.files import atomic_write
from knuckle.predict.contract import Contract, CropRule
from knuckle.predict.crop import MARGIN
from knuckle.systems.choose import choose_system
from knuckle.systems.system import System
from knuckle.train import checkpoint

# Tensors smaller than this stay as they are: halving them saves nothing.
_LARGE = 256


def trained_network(system: System, folder: Path) -> nn.Module:
    """The network of a checkpoint with its averaged weights, ready to be used."""
    network = system.network()
    checkpoint.load_weights(network, checkpoint.load(folder).weights)
    return network.eval()


def export_onnx(system: System, network: nn.Module, out: Path, half: bool = False) -> None:
    """Writes a network as one ONNX graph: uint8 pictures (batch, height, width, 3) in, named outputs out.

    Args:
        system: says what the outputs are.
        network: in evaluation mode; left as it is.
        out: the file.
        half: hold large weights as float16, in half the space; they are used as float32, rounded.
    """
    module, example, names = system.for_export(copy.deepcopy(network))
    module = fused(module.eval())
    # The exporter reports its progress through warnings and the log; what goes wrong it raises.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["image"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=256)},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export must return a program but returned None; check the version of torch")
    model = program.model_proto
    if half:
        _hold_as_half(model)
    del model.metadata_props[:]
    for key, value in _contract(system, names, example.shape[1]).to_metadata().items():
        model.metadata_props.add(key=key, value=value)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in model.graph.value_info:
        del value.metadata_props[:]
    onnx.checker.check_model(model)
    with atomic_write(out) as unfinished:
        unfinished.write_bytes(model.SerializeToString())


def exported_model(checkpoint_folder: Path, folder: Path) -> Path:
    """The ONNX file, written into a folder, of a checkpoint (config.json, weights.safetensors)."""
    about = checkpoint.load(checkpoint_folder).about
    system = choose_system(about["system"], about["config"])
    out = folder / f"{about['system']}.onnx"
    export_onnx(system, trained_network(system, checkpoint_folder), out)
    return out


def _contract(system: System, outputs: list[str], size: int) -> Contract:
    name = type(system).__name__.lower()
    kind = "detector" if outputs == ["maps"] else "hand"
    return Contract(name, kind, CropRule(size, margin=MARGIN), outputs=tuple(outputs))


def fused(module: nn.Module) -> nn.Module:
    """The module with every batch normalisation that follows a convolution taken into it; equal up to rounding."""
    for child in module.modules():
        if not isinstance(child, nn.Sequential) or len(child) != 2:
            continue
        conv, norm = child
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            child[0], child[1] = torch.nn.utils.fuse_conv_bn_eval(conv, norm), nn.Identity()
    return module


def _hold_as_half(model: onnx.ModelProto) -> None:
    """Stores large float32 weights as float16, each followed by a cast that the runtime folds away when it loads."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _LARGE:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
