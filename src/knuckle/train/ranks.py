"""Processes that train together: each computes a part of every batch, and gradients are summed over all.

`Alone` is one process. `FabricRanks` are several on one machine or many, with or without GPUs, through Lightning
Fabric, which starts them, finds their devices and connects them. When one process ends, the others
end with a message.
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

Result = TypeVar("Result")


class RankLost(ConnectionError):
    """Another process of the run has ended; what was saved last is where the next start goes on."""


@runtime_checkable
class Ranks(Protocol):
    """Attributes: rank of this process, count of all, device to compute on."""

    rank: int
    count: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes of a tensor of the same shape in each."""
        ...

    def texts(self, text: str) -> list[str]:
        """The text of every process, ordered by rank."""
        ...

    def wait(self) -> None:
        """A barrier: returns when every process has called it."""
        ...

    def close(self) -> None:
        """Leaves the process group."""
        ...


class Alone:
    """One process."""

    rank, count = 0, 1

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)

    def sum(self, values: Tensor) -> Tensor:
        return values

    def texts(self, text: str) -> list[str]:
        return [text]

    def wait(self) -> None:
        return

    def close(self) -> None:
        return


class FabricRanks:
    """Processes connected by Lightning Fabric.

    The first process starts the others of its machine with its own command line; on several machines the command is
    typed on each, with MASTER_ADDR, MASTER_PORT and NODE_RANK in the environment, or by torchrun or Slurm.

    Args:
        device: "cpu" or "cuda".
        devices: processes on each machine, one a GPU.
        nodes: machines.

    Raises:
        ValueError: there are fewer GPUs.
    """

    def __init__(self, device: str, devices: int, nodes: int) -> None:
        from lightning_fabric import Fabric

        if device == "cuda" and torch.cuda.device_count() < devices:
            raise ValueError(
                f"devices must be at most {torch.cuda.device_count()}, the GPUs there are, but got {devices}"
            )
        self._fabric = Fabric(accelerator=device, devices=devices, num_nodes=nodes, strategy="ddp")
        self._fabric.launch()
        self.rank, self.count = self._fabric.global_rank, self._fabric.world_size
        self.device = self._fabric.device

    def sum(self, values: Tensor) -> Tensor:
        summed: Any = self._connected(lambda: self._fabric.all_reduce(values, reduce_op="sum"))
        return summed

    def texts(self, text: str) -> list[str]:
        gathered: list[Any] = [None] * self.count
        self._connected(lambda: torch.distributed.all_gather_object(gathered, text))
        return gathered

    def wait(self) -> None:
        self._connected(self._fabric.barrier)

    def close(self) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def _connected(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except RuntimeError as error:
            # "[file:line] Read error [address]: Connection reset by peer": the last part is what a person can use.
            reason = str(error).splitlines()[0].rpartition("]: ")[2][:80]
            raise RankLost(
                f"process {self.rank} of {self.count} has lost another one ({reason}); "
                "the same command goes on from the last checkpoint"
            ) from error


def join_ranks(device: str, devices: int = 1, nodes: int = 1) -> Ranks:
    """One process, or several where more devices or machines than one are asked for.

    Raises:
        ValueError: the device is not there.
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda" but got {device!r}')
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be cpu as torch finds no GPU here; or install torch for the GPU's driver")
    if devices < 1 or nodes < 1:
        raise ValueError(f"devices and nodes must be 1 or more but got {devices} and {nodes}")
    return Alone(device) if devices == nodes == 1 else FabricRanks(device, devices, nodes)


def first_then_others(ranks: Ranks, call: Callable[[], Result], pause: float = 1.0) -> Result:
    """Calls something in the first process, and in the others once it has returned there.

    Meanwhile the processes keep in touch every `pause` seconds: a connection gives up on one that is silent for half an
    hour, and a large data set takes longer to decode.

    Raises:
        ValueError: in the others, where the call has failed in the first.
    """
    if ranks.count == 1:
        return call()
    results: list[Result] = []
    errors: list[Exception] = []

    def first() -> None:
        try:
            results.append(call())
        except Exception as error:  # raised again below, in the main thread
            errors.append(error)

    # A daemon: an interrupted process does not wait for it.
    thread = threading.Thread(target=first, daemon=True)
    if ranks.rank == 0:
        thread.start()
    while True:
        if ranks.rank == 0:
            thread.join(pause)
        ended = ranks.sum(torch.tensor([float(len(results)), float(len(errors))], device=ranks.device))
        if ended.sum() > 0:
            break
    if errors:
        raise errors[0]
    if ended[1] > 0:
        raise ValueError(f"process {ranks.rank} waited for process 0, which failed; see its message")
    return results[0] if ranks.rank == 0 else call()


def require_same(ranks: Ranks, text: str, compare: Callable[[str, str], list[str]]) -> None:
    """Raises where the processes disagree on how to train.

    Args:
        text: this process's settings.
        compare: gives the differences of two such texts, a line each.

    Raises:
        ValueError: in every process alike.
    """
    views = ranks.texts(text)
    for rank, view in enumerate(views):
        if view != views[0]:
            lines = "; ".join(compare(views[0], view)[:5])
            raise ValueError(f"all processes must train alike but process {rank} differs from the first: {lines}")
