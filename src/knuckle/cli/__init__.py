"""The command line: one function a command, in files of their own that are loaded when they are called.

`knuckle --help` imports neither OpenCV nor the hand. Exit status: 0 all is well, 1 the command says that something is
wrong with what it was given to judge, 2 it could not work with what it was given, 130 it was interrupted. With
KNUCKLE_TRACEBACK=1 in the environment an error is shown with where it came from.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

# name -> where its function is, imported when it is called, and what the list of commands says of it
COMMANDS = {
    "predict": ("knuckle.cli.predict:predict", "Hands in pictures and videos: joints, mesh, angles."),
    "fit": ("knuckle.cli.fit:fit", "Recorded joints to angles, shape and place; .npz, .glb, .bvh, .json."),
    "pose": ("knuckle.cli.pose:pose", "A named pose as a mesh or a picture."),
    "check": ("knuckle.cli.check:check", "Which recorded poses no hand can make, and why."),
    "train": ("knuckle.cli.train:train", "Train a network on generated pictures."),
    "export": ("knuckle.cli.train:export", "Turn a checkpoint into one ONNX file."),
    "synth": ("knuckle.cli.synth:synth", "Draw labelled pictures of hands."),
    "eval": ("knuckle.cli.evaluate:evaluate", "Score predictions on a data set under a named protocol."),
    "submit": ("knuckle.cli.evaluate:submit", "Write predictions as a leaderboard takes them, and check the file."),
}

# What the training commands import, and only they; other extras are named where they are imported.
_OF_TRAINING = ("torch", "lightning_fabric", "safetensors", "onnx", "onnxscript")
_TRAIN_EXTRA = "install it with `pip install 'knuckle[train]'`"

_HELP = """3D hands a program can use: joints, mesh and 23 anatomical angles, in metres.

`knuckle COMMAND --help` shows a command's options and examples. Some to begin with:

    knuckle pose peace --out peace.glb

    knuckle check recording.npy --side left

    knuckle fit recording.npy --out fitted --side left --glb
"""


def make_app(asked: str | None = None) -> App:
    """The command line as an object.

    Args:
        asked: the command that is about to run; its own help is then its docstring, not the line in the list.
    """
    from knuckle.version import __version__

    app = App(
        name="knuckle",
        version=__version__,
        help=_HELP,
        help_format="markdown",
        default_parameter=Parameter(negative=()),
        suppress_keyboard_interrupt=False,
    )
    for name, (where, summary) in COMMANDS.items():
        app.command(where, name=name, help=None if name == asked else summary)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; the installed `knuckle` calls this.

    Args:
        arguments: the words after `knuckle`; those of the process where None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = make_app(words[0] if words else None)(
            words, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except KeyboardInterrupt:
        print("knuckle: interrupted", file=sys.stderr)
        return 130
    except CycloptsError as error:
        print(f"knuckle: {_one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the output has gone, as `| head` does. Python's own flush at exit must not meet the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    # ImportError: an extra of the package is not installed; the message says which.
    except (ValueError, OSError, ImportError) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        said = f"this takes {missing}; {_TRAIN_EXTRA}" if missing in _OF_TRAINING else _one_line(error)
        print(f"knuckle: {said}", file=sys.stderr)
        if os.environ.get("KNUCKLE_TRACEBACK"):
            raise
        return 2
    return status if isinstance(status, int) else 0


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
