"""The command line: one function per command, in modules of their own that are imported when called.

`knuckle --help` imports neither OpenCV nor the hand. Exit status: 0 success, 1 the command has findings about its
input, 2 the input or the arguments are not usable, 130 interrupted. With KNUCKLE_TRACEBACK=1 in the environment
errors are shown with a traceback.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from knuckle.cli.terminal import one_line

# name -> (import path of its function, summary in the list of commands)
COMMANDS = {
    "predict": ("knuckle.cli.predict:predict", "Hands in pictures and videos: joints, mesh, angles."),
    "live": ("knuckle.cli.live:live", "Hands in a browser page while a camera sees them: skeleton, 3D, angles."),
    "person": ("knuckle.cli.person:person", "Measure a person's hand from pictures, to predict with."),
    "fit": ("knuckle.cli.fit:fit", "Fit angles, shape and placement to recorded joints; .npz, .glb, .bvh, .json."),
    "gestures": ("knuckle.cli.gestures:gestures", "Names of gestures in pictures; names of your own from examples."),
    "pose": ("knuckle.cli.pose:pose", "A named pose as a mesh or a picture."),
    "check": ("knuckle.cli.check:check", "Find anatomically impossible poses in a recording, and why."),
    "limits": ("knuckle.cli.limits:limits", "Learn the limits of hands from a data set or a recording."),
    "train": ("knuckle.cli.train:train", "Train a network on generated pictures and data sets."),
    "export": ("knuckle.cli.train:export", "Turn a checkpoint into one ONNX file."),
    "synth": ("knuckle.cli.synth:synth", "Render labelled pictures of hands."),
    "eval": ("knuckle.cli.evaluate:evaluate", "Score predictions on a data set under a named protocol."),
    "about": ("knuckle.cli.about:about", "Versions, processor, weights and their SHA-256, licences."),
    "submit": ("knuckle.cli.evaluate:submit", "Write predictions in a leaderboard's format, and check the file."),
}

# Imported by the training commands only; other extras are named where they are imported.
_TRAIN_MODULES = ("torch", "timm", "lightning_fabric", "safetensors", "onnx", "onnxscript")
_TRAIN_EXTRA = "install it with `pip install 'knuckle[train]'`"

_HELP = """3D hands from pictures: joints, mesh and 23 anatomical angles, in metres.

`knuckle COMMAND --help` shows a command's options and examples. To start with:

    knuckle pose peace --out peace.glb

    knuckle check recording.npy --side left

    knuckle fit recording.npy --out fitted --side left --glb
"""


def make_app(command: str | None = None) -> App:
    """The command line as an object.

    Args:
        command: the command about to run; its help is then its docstring, not the summary in the list.
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
        app.command(where, name=name, help=None if name == command else summary)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; the installed `knuckle` calls this.

    Args:
        arguments: the arguments after `knuckle`; those of the process where None.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = make_app(argv[0] if argv else None)(
            argv, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except KeyboardInterrupt:
        print("knuckle: interrupted", file=sys.stderr)
        return 130
    except CycloptsError as error:
        print(f"knuckle: {_one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of the output has closed it, as `| head` does. Python's flush at exit must not raise it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print("knuckle: the memory is too small for this input; use a smaller input", file=sys.stderr)
        if os.environ.get("KNUCKLE_TRACEBACK"):
            raise
        return 2
    # ValueError: unusable arguments, and InputError, which all readers of files raise. ImportError: an extra of the
    # package is not installed; the message says which. FloatingPointError: a training run that has diverged.
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        message = f"this requires {missing}; {_TRAIN_EXTRA}" if missing in _TRAIN_MODULES else _one_line(error)
        print(f"knuckle: {message}", file=sys.stderr)
        if os.environ.get("KNUCKLE_TRACEBACK"):
            raise
        return 2
    return status if isinstance(status, int) else 0


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return one_line(f"{error.filename}: {error.strerror}")
    return one_line(error)
