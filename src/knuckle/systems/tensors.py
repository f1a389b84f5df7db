"""Tensors of safetensors files that nobody vouches for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from knuckle.files import InputError, RefusedFile, regular_file


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        RefusedFile: it is no safetensors file, or damaged.
        OSError: it cannot be read.
    """
    try:
        return load_file(regular_file(path))
    # RuntimeError: torch, of shapes and kinds that do not fit.
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, RefusedFile):
            raise
        raise RefusedFile(f"{path} must be a safetensors file but is damaged ({error}); copy it again") from error


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """A body that builds the network of weights: a configuration of a few bytes can ask for one of any size.

    Raises:
        InputError: the network has many more numbers, or parameters.
    """
    # Twice as much, as some networks replace parameters that they were built with.
    numbers, count = 2 * sum(tensor.numel() for tensor in weights.values()), 2 * len(weights)

    # Torch calls it before a parameter gets its first numbers, until when it takes no memory.
    def count_down(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal numbers, count
        if parameter is None:
            return
        numbers, count = numbers - parameter.numel(), count - 1
        if min(numbers, count) < 0:
            raise InputError(
                f"the weights must be of a network of this configuration, but it asks for more than their "
                f"{len(weights)} tensors; its config.json is another one's"
            )

    hook = register_module_parameter_registration_hook(count_down)
    try:
        yield
    finally:
        hook.remove()
