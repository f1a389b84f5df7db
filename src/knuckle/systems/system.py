"""What the training loop asks of a system."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from knuckle.sample import Sample

# Arrays of all examples by name, first axis the example; they may lie in files (numpy.memmap, Joined).
Records = Mapping[str, Any]
# Arrays and numbers of one of them.
Example = dict[str, Any]


@runtime_checkable
class System(Protocol):
    """Stateless: all it holds is its configuration."""

    @property
    def config(self) -> Any:
        """A frozen dataclass of numbers and tuples; written beside every checkpoint."""
        ...

    def network(self) -> nn.Module:
        """A new network with random weights."""
        ...

    def records(self, picture: np.ndarray, samples: Sequence[Sample]) -> list[Example]:
        """What is kept for training of a picture and the hands in it: small arrays of always the same shapes."""
        ...

    def example(self, records: Records, index: int, rng: np.random.Generator) -> Example:
        """One training example, freshly augmented."""
        ...

    def losses(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars by name; their sum is what is minimised."""
        ...

    def errors(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars by name, in units a person can judge; for the log."""
        ...

    def for_export(self, network: nn.Module) -> tuple[nn.Module, Tensor, list[str]]:
        """A module from a batch of uint8 pictures to a tuple of tensors, a picture to trace it with, output names."""
        ...
