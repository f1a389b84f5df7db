"""Exported networks as functions of NumPy arrays: an ONNX file, checked against the contract it carries."""

from pathlib import Path
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
import onnxruntime
from jaxtyping import Float, UInt8

from knuckle.files import MAX_BYTES, regular_file
from knuckle.image.cut import apply_affine, cut, invert_affine
from knuckle.predict.contract import Contract, ContractError
from knuckle.predict.detect import Detection, letterbox, read_maps

# Shapes without the batch axis; None is any size.
_OUTPUT_SHAPES: dict[str, tuple[int | None, ...]] = {
    "joints": (21, 3),
    "uncertainty": (21,),
    "left": (),
    "presence": (),
    "vertices": (None, 3),
    "corners": (8, 3),
    "corner_uncertainty": (8,),
    "holds": (),
    "category": (None,),
    "mask": (None, None),
    "mask_complete": (None, None),
    "maps": (8, None, None),
}
_INPUT_SHAPES: dict[str, tuple[int, ...]] = {
    "K": (3, 3),
    "box": (4,),
    "side": (2,),
    "joints_image": (21, 2),
    "points": (29, 2),
}
# Of the inputs and the outputs of inverse kinematics; how many numbers a shape has is the hand's matter.
_IK_SHAPES: dict[str, tuple[int | None, ...]] = {
    "joints": (21, 3),
    "angles": (23,),
    "vectors": (15, 3),
    "shape": (None,),
    "turn": (6,),
}
_INPUT_TYPES = {"image": "tensor(uint8)", **dict.fromkeys((*_INPUT_SHAPES, "joints", "shape"), "tensor(float)")}
_AGAIN = "export it again"
MAX_THREADS = 512  # more than any processor computes at once
# Where networks run, and ONNX Runtime's name for it.
Device: TypeAlias = Literal["cpu", "cuda", "coreml", "directml"]
_PROVIDERS: dict[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
_BUILDS = {"cuda": "onnxruntime-gpu", "coreml": "onnxruntime on macOS", "directml": "onnxruntime-directml on Windows"}
_KINDS = {"hand": "a hand network", "detector": "a detector", "ik": "an inverse-kinematics network"}


@runtime_checkable
class HandDetector(Protocol):
    """Finds hands in whole pictures."""

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"], threshold: float, maximum: int) -> list[Detection]:
        """At most `maximum` hands with a score of `threshold` or more, best first, in pixels of the picture."""
        ...


@runtime_checkable
class HandNetwork(Protocol):
    """An exported hand network: its contract, and its outputs for crops."""

    @property
    def contract(self) -> Contract:
        """How its input is cropped, and what its outputs mean."""
        ...

    def __call__(
        self,
        picture: UInt8[np.ndarray, "h w 3"],
        affines: list[Float[np.ndarray, "2 3"]],
        K: Float[np.ndarray, "n 3 3"] | None = None,
        boxes: Float[np.ndarray, "n 4"] | None = None,
        **known: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Outputs by the contract's names for one or more crops of a picture.

        Args:
            picture: RGB.
            affines: for each crop, from pixels of the picture to those of the crop.
            K: intrinsics of the crops, where the contract asks for them.
            boxes: squares in the picture before rotation, where the contract asks for them.
            known: `side` (n, 2), `joints_image` (n, 21, 2) and `points` (n, 29, 2) in pixels of the crops, likewise.
        """
        ...


class DetectorGraph:
    """A `HandDetector` from an ONNX file. Thread-safe and stateless.

    Args:
        path: of the file.
        threads: of the processor.
        device: see `Predictor`.

    Raises:
        ValueError: the device is not one that this ONNX Runtime has.
        FileNotFoundError: there is no such file.
        ContractError: it is not an ONNX file, has no usable contract, or is not a detector.
    """

    def __init__(self, path: Path | str, threads: int = 2, device: Device = "cpu") -> None:
        self._path = Path(path)
        self._session, self.contract = open_network(self._path, "detector", threads, device)

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"], threshold: float, maximum: int) -> list[Detection]:
        """See `HandDetector`."""
        size = self.contract.crop.size
        affine = letterbox(picture.shape[1], picture.shape[0], size)
        letterboxed = cut(picture, affine, (size, size))
        maps = run_network(self._session, self._path, ["maps"], {"image": letterboxed[None]}, self.contract)["maps"]
        back = invert_affine(affine)
        return [
            Detection(apply_affine(back, d.box.reshape(2, 2)).reshape(4), d.score, d.left, d.direction)
            for d in read_maps(maps[0], threshold, maximum)
        ]


class HandGraph:
    """A `HandNetwork` from an ONNX file. Thread-safe and stateless.

    Args:
        path: of the file.
        threads: of the processor.
        device: see `Predictor`.

    Raises:
        ValueError: the device is not one that this ONNX Runtime has.
        FileNotFoundError: there is no such file.
        ContractError: it is not an ONNX file, has no usable contract, or is not a hand network.
    """

    def __init__(self, path: Path | str, threads: int = 2, device: Device = "cpu") -> None:
        self._path = Path(path)
        self._session, self.contract = open_network(self._path, "hand", threads, device)

    def __call__(
        self,
        picture: UInt8[np.ndarray, "h w 3"],
        affines: list[Float[np.ndarray, "2 3"]],
        K: Float[np.ndarray, "n 3 3"] | None = None,
        boxes: Float[np.ndarray, "n 4"] | None = None,
        **known: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """See `HandNetwork`.

        Raises:
            ValueError: the network's joints, vertices or corners are not finite, or an input is not given.
        """
        size = self.contract.crop.size
        given = {}
        if "image" in self.contract.inputs:
            given["image"] = np.stack([cut(picture, affine, (size, size)) for affine in affines])
        for name in _INPUT_SHAPES:
            if name in self.contract.inputs:
                values = {"K": K, "box": boxes}.get(name, known.get(name))
                if values is None:
                    raise ValueError(f"{name} must be given to {self._path}, whose contract asks for it, but is None")
                given[name] = values.astype(np.float32)
        outputs = run_network(self._session, self._path, list(self.contract.outputs), given, self.contract)
        for name in ("joints", "vertices", "corners"):
            if name in outputs and not np.isfinite(outputs[name]).all():
                raise ValueError(f"{self._path}: {name} must be finite but are not; did its training diverge?")
        return outputs


def run_network(
    session: onnxruntime.InferenceSession,
    path: Path,
    wanted: list[str],
    given: dict[str, np.ndarray],
    contract: Contract,
) -> dict[str, np.ndarray]:
    """The outputs by name, of the contract's shapes: a graph need not keep to those it declares.

    Raises:
        ContractError: they are of others, or the graph cannot be run.
    """
    try:
        found = session.run(wanted, given)
    except Exception as error:  # ONNX Runtime's own exceptions have no other common base
        raise ContractError(f"{path} cannot be run ({_reason(error)}); {_AGAIN}") from None
    outputs = {name: np.asarray(values) for name, values in zip(wanted, found, strict=True)}
    batch = len(next(iter(given.values())))
    for name, values in outputs.items():
        expected = (batch, *_output_shapes(contract)[name])
        fits = values.ndim == len(expected) and all(w in (None, h) for w, h in zip(expected, values.shape, strict=True))
        if not fits or values.dtype.kind not in "fiu":
            shape = ", ".join("any" if want is None else str(want) for want in expected)
            raise ContractError(
                f"{path} must give {name} as numbers of the shape ({shape}) but gives {values.dtype} of "
                f"{values.shape}; {_AGAIN}"
            )
    return outputs


def _reason(error: Exception) -> str:
    return " ".join((str(error).rpartition("failed:")[2] or str(error)).split())[:200].rstrip(".")


def open_network(
    path: Path, kind: Literal["hand", "detector", "ik"], threads: int, device: Device = "cpu"
) -> tuple[onnxruntime.InferenceSession, Contract]:
    """An ONNX file whose graph is as its contract says.

    Args:
        path: of the file.
        kind: that it must be of.
        threads, device: see `HandGraph`.

    Raises:
        ValueError: the device is not one that this ONNX Runtime has.
        FileNotFoundError: there is no such file.
        ContractError: it is not an ONNX file, has no usable contract, or is of another kind.
    """
    check_device(device)
    check_threads(threads)
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be an existing ONNX file but is not; check the path")
    try:
        session = _session(regular_file(path, MAX_BYTES), threads, device)
    except Exception as error:  # ONNX Runtime's own exceptions have no other common base
        raise ContractError(f"{path} must be an ONNX file but cannot be opened as one ({_reason(error)})") from None
    try:
        contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map)
        if contract.kind != kind:
            raise ContractError(f"must be {_KINDS[kind]} but is {_KINDS[contract.kind]}, {contract.system!r}")
        _check_graph(session, contract)
    except ContractError as error:
        raise ContractError(f"{path} {error}") from None
    except UnicodeDecodeError as error:
        raise ContractError(f"{path} must have names of UTF-8 text but has others ({error.reason}); {_AGAIN}") from None
    return session, contract


def check_threads(threads: int) -> None:
    """Whether a network can use so many; ONNX Runtime starts them all at once, and a million never.

    Raises:
        ValueError: it cannot.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise ValueError(f"threads must be 1 to {MAX_THREADS} but got {threads}; as many as cores are the fastest")


def check_device(device: str) -> None:
    """Whether networks can run there.

    Raises:
        ValueError: the device is unknown, or not one that this ONNX Runtime has.
    """
    if device not in _PROVIDERS:
        raise ValueError(f"device must be one of {', '.join(get_args(Device))} but got {device!r}")
    have = onnxruntime.get_available_providers()
    if _PROVIDERS[device] not in have:
        names = ", ".join(name for name, provider in _PROVIDERS.items() if provider in have)
        raise ValueError(
            f"device {device} must be one that ONNX Runtime has but it has {names}; install {_BUILDS[device]} instead"
        )


def _session(path: Path, threads: int, device: Device) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that sleep between layers make it a quarter slower; threads that spin between pictures would keep the
    # cores from other work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # What another device cannot compute is computed on the processor.
    providers = list(dict.fromkeys([_PROVIDERS[device], _PROVIDERS["cpu"]]))
    # Without the fallback, which prints to standard output, and computes elsewhere than asked.
    return onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)


def _check_graph(session: onnxruntime.InferenceSession, contract: Contract) -> None:
    size = contract.crop.size
    inputs = _IK_SHAPES if contract.kind == "ik" else {"image": (size, size, 3), **_INPUT_SHAPES}
    outputs = _output_shapes(contract)
    for what, nodes, named, shapes in (
        ("inputs", session.get_inputs(), contract.inputs, inputs),
        ("outputs", session.get_outputs(), contract.outputs, outputs),
    ):
        if {node.name for node in nodes} != set(named):
            theirs = ", ".join(node.name for node in nodes)
            raise ContractError(f"must have the {what} {', '.join(named)} of its metadata but has {theirs}; {_AGAIN}")
        for node in nodes:
            _check_shape(node, shapes[node.name], contract.kind)
            if node.name in _INPUT_TYPES and node.type != _INPUT_TYPES[node.name]:
                raise ContractError(
                    f"must have an input {node.name} of {_INPUT_TYPES[node.name]} but has {node.type}; {_AGAIN}"
                )


def _output_shapes(contract: Contract) -> dict[str, tuple[int | None, ...]]:
    """Without the batch axis."""
    if contract.kind == "ik":
        return _IK_SHAPES
    return _OUTPUT_SHAPES | {"category": (len(contract.categories) or None,)}


def _check_shape(node: onnxruntime.NodeArg, wanted: tuple[int | None, ...], kind: str) -> None:
    """Symbolic sizes (names, None) and a shape that the graph does not declare cannot be checked, and pass."""
    shape = list(node.shape)
    if not shape:
        return
    fits = len(shape) == len(wanted) + 1 and all(
        want is None or not isinstance(have, int) or have == want for have, want in zip(shape[1:], wanted, strict=True)
    )
    # Several crops are run in one batch, whole pictures one by one.
    fixed_batch = isinstance(shape[0], int) and (kind != "detector" or shape[0] != 1)
    if not fits or fixed_batch:
        expected = ", ".join(["B", *("any" if want is None else str(want) for want in wanted)])
        raise ContractError(f"must have {node.name} of the shape ({expected}) but has {shape}; {_AGAIN}")
