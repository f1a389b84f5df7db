"""Support for functions that accept both NumPy arrays and torch tensors.

Every public function looks its namespace up once: ``xp = namespace(points, weights)``; the rest is written
like NumPy and runs, differentiably, on the library of its arguments.
"""

from typing import Any, TypeAlias

import array_api_compat
import array_api_compat.numpy as numpy_namespace
import numpy as np

# Shapes are written with jaxtyping, `Float[Array, "*batch 21 3"]`; `Any` because a NumPy array and a torch
# tensor share no base class, and torch is not a run-time dependency.
Array: TypeAlias = Any


def namespace(*arrays: Array) -> Any:
    """The array namespace (numpy or torch, by the array API standard) that all given arrays share.

    Args:
        arrays: NumPy arrays or torch tensors; None and Python scalars are ignored.

    Returns:
        The namespace; NumPy's where there are only scalars and None.

    Raises:
        TypeError: arrays of two libraries were mixed.
    """
    # Most calls, by far: a tenth of the time of the general way.
    for array in arrays:
        if type(array) is not np.ndarray:
            break
    else:
        return numpy_namespace
    given = [a for a in arrays if array_api_compat.is_array_api_obj(a)]
    if not given:
        return numpy_namespace
    return array_api_compat.array_namespace(*given)


def array_like(value: Array, like: Array) -> Array:
    """Convert a number, list or array to the library, dtype and device of `like`.

    Args:
        value: a number, nested list, NumPy array or torch tensor.
        like: the array to take library, dtype and device from.

    Returns:
        The converted array; a tensor that becomes a tensor keeps its gradient.
    """
    if array_api_compat.is_torch_array(value):
        if array_api_compat.is_torch_array(like):
            return value.to(like)  # asarray would drop the gradient, or warn
        value = value.detach().cpu().numpy()
    elif array_api_compat.is_numpy_array(value) and array_api_compat.is_torch_array(like):
        value = value.copy()  # a tensor would share memory with the array, and torch warns where that is read-only
    return namespace(like).asarray(value, dtype=like.dtype, device=array_api_compat.device(like))
