"""The seam between a system and everything that trains, exports or evaluates one.

A system is one file: a frozen configuration, a network, where its examples come from, a forward, losses, and what is
exported. It holds nothing but its configuration. The training loop depends on this protocol only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.losses.mean import Mean
from knuckle.predict.contract import Contract


@dataclass(frozen=True)
class Stage:
    """A part of the training with an optimiser and a schedule of its own. Data, not code.

    Attributes:
        name: for the log.
        steps: its length; where a run goes by the clock, its share of the time is its share of all steps.
        batch: examples a step, over all replicas and processes together.
        rates: highest learning rate by prefix of the parameters' names; the longest matching prefix counts, "" matches
            all. Parameters without a match are frozen: no gradient, and in evaluation mode.
        losses: weights by name; a loss that is absent, or 0, is off.
        mix: share of each batch by name of the data set, over the shares that the command line gives.
        optimiser: "muon" (Muon for matrices, AdamW for the rest), "adamw", "adam" or "sgd" (with momentum 0.9).
        schedule: "cosine" down to nearly 0, or "constant"; "step" multiplies by `gamma` at each of `milestones`.
        milestones: parts of the stage, 0 to 1.
        warmup: part of the stage over which the rate rises.
        clip: largest norm of the gradient; 0 for none.
        average: decay of the averaged weights, a step.
    """

    name: str = "all"
    steps: int = 10000
    batch: int = 64
    rates: Mapping[str, float] = field(default_factory=lambda: {"": 1e-3})
    losses: Mapping[str, float] = field(default_factory=dict)
    mix: Mapping[str, float] = field(default_factory=dict)
    optimiser: Literal["muon", "adamw", "adam", "sgd"] = "adamw"
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    warmup: float = 0.03
    weight_decay: float = 0.02
    clip: float = 2.0
    average: float = 0.998

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ValueError(
                f"stage {self.name} must have at least 1 step of 1 example but got {self.steps}, {self.batch}"
            )
        if not self.rates or min(self.rates.values()) < 0:
            raise ValueError(f"stage {self.name} must have rates of 0 or more by prefix but got {dict(self.rates)}")
        if self.clip < 0 or not 0 <= self.warmup < 1 or not 0 <= self.average < 1:
            raise ValueError(
                f"stage {self.name} must have clip of 0 or more, warmup and average of 0 to below 1 but got "
                f"{self.clip}, {self.warmup}, {self.average}"
            )


@dataclass(frozen=True)
class Moment:
    """What a forward or a loss may depend on beside the batch.

    Attributes:
        step: since the run began.
        progress: part of the stage that is done, 0 to 1.
        stage: the one at hand.
        generator: for every random draw of the forward; seeded by the run's seed, the step and the part of the batch.
    """

    step: int
    progress: float
    stage: Stage
    generator: torch.Generator


@dataclass(frozen=True)
class Part:
    """Neighbouring examples of a source that came from one data set.

    Attributes:
        name: of the data set.
        count: how many examples.
        share: of each batch; None for what the others leave, in proportion to the counts.
        held_out: part of the examples, in whole groups, that is never trained on.
    """

    name: str
    count: int
    share: float | None = None
    held_out: float = 0.02


@runtime_checkable
class Source(Protocol):
    """Examples to train on, by index; the parts lie one after the other."""

    @property
    def parts(self) -> Sequence[Part]: ...

    def __len__(self) -> int: ...

    def group(self, index: int) -> str:
        """What must not be divided between training and held-out examples: the picture, video or subject."""
        ...

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """One example, freshly augmented; a Sample, or whatever `collate` takes."""
        ...

    def collate(self, samples: Sequence[Any]) -> Any:
        """Stacks examples into a batch: something with `len` and `.to(device)`."""
        ...


@dataclass(frozen=True)
class Graph:
    """What is exported as one ONNX file.

    Attributes:
        module: takes the contract's inputs in their order, gives a tuple of its outputs in theirs.
        inputs: an example of each, two of a batch.
        contract: written into the file.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    contract: Contract


@runtime_checkable
class System(Protocol):
    """Stateless: all it holds is its configuration."""

    @property
    def config(self) -> Any:
        """A frozen dataclass that knuckle.systems.config can read and write; its `stages` are those below."""
        ...

    @property
    def stages(self) -> Sequence[Stage]: ...

    def network(self, pretrained: bool = False) -> nn.Module:
        """A new network with random weights; `pretrained` fetches its backbone's where it has one."""
        ...

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Source:
        """Examples of data sets.

        Args:
            sets: opened.
            cache: a folder for what is decoded, to be found again by the next run.
            advance: called with a set's name and the number of examples so far while something is decoded.

        Raises:
            ValueError: a set has no usable example; the message says which labels are needed.
        """
        ...

    def forward(self, network: nn.Module, batch: Any, now: Moment) -> Any:
        """A NamedTuple of tensors."""
        ...

    def losses(self, output: Any, batch: Any, now: Moment) -> dict[str, Mean]:
        """Unweighted, by name; each asks what labels are there, and has a weight of 0 where there are none.

        The names are the same for every batch: the parts of a batch are summed by name.
        """
        ...

    def errors(self, output: Any, batch: Any) -> dict[str, Mean]:
        """In units that a person can assess, for the log; the same names for every batch."""
        ...

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        """What is exported, by name; the first is the main one."""
        ...
