"""Where the numbers of a training run go: one line in the terminal and, if wanted, TensorBoard."""

import sys
from pathlib import Path


class TerminalLog:
    """Called with the numbers of some steps.

    Args:
        board: folder for TensorBoard's files; None for none.

    Raises:
        ModuleNotFoundError: TensorBoard is wanted and not installed.
    """

    def __init__(self, board: Path | None = None) -> None:
        self._writer = None
        if board is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(board)

    def __call__(self, numbers: dict[str, float]) -> None:
        """Prints what a person looks at and hands everything to TensorBoard."""
        step = int(numbers["step"])
        if self._writer is not None:
            for name, value in numbers.items():
                self._writer.add_scalar(name, value, step)
        # Losses one by one, and errors set by set, are in the file.
        shown = {n: v for n, v in numbers.items() if n not in ("step", "progress") and not n.startswith("loss/")}
        shown = {n: v for n, v in shown.items() if n.count("/") < 2}
        head = f"step {step}"
        if "progress" in numbers:
            head += f", {numbers['progress']:.1%}"
        print(head + "".join(f", {name} {value:.4g}" for name, value in shown.items()), file=sys.stderr, flush=True)
