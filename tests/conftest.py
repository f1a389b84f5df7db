"""Shapes and dtypes written in annotations are checked while the tests run, and only then."""

import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import install_import_hook

install_import_hook("knuckle", "beartype.beartype")

# In the background of a shell Ctrl-C is ignored, and what is started from there inherits that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The software OpenGL that draws pictures and the compiler that torch's exporter loads each bring an LLVM of their own.
# Loaded after the other, the compiler's ends the process with a segmentation fault; loaded before it, both work.
if importlib.util.find_spec("triton"):
    importlib.import_module("triton")


def _to_torch(values: Any) -> Any:
    import torch

    return torch.from_numpy(np.array(values))


@pytest.fixture(params=["numpy", "torch"])
def to_array(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Turns a NumPy array into one of the library under test: the test runs once for each."""
    return np.asarray if request.param == "numpy" else _to_torch


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with the same seed in every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray cluster of two CPUs, which `map_parts` finds this program in."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=100 * 2**20,
        # Ray's workers find this file, as processes of pytest do.
        runtime_env={
            "env_vars": {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
        },
    )
    yield "auto"
    ray.shutdown()


@pytest.fixture(params=["processes", "ray"])
def others(request: pytest.FixtureRequest) -> Any:
    """Workers that are other processes: of this machine, and of a Ray cluster."""
    from knuckle.workers import Workers

    return Workers(2, request.getfixturevalue("cluster") if request.param == "ray" else None)
