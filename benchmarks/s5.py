"""Zhuang and Mu, "Joint Hand-Object Pose Estimation with Differentiably-Learned Physical Contact Point Analysis", ICMR
2021.

In full the data are the paper's, FPHA and ObMan, in folders of the user's. In tiny they are generated pictures of hands
that hold something, of which others are learned first, as the paper learns ObMan first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tables import Metric, Paper, Row, Table, Trial

# The preset whose pictures are tested, and the one of other objects that is learned first.
_GRASPS, _OTHERS = "grasp", "held"


@dataclass(frozen=True)
class _Scale:
    """Sizes under one preset, and what `knuckle train` is told.

    Attributes:
        system: the name of the paper's network and schedule at that size.
        images, images_first, images_test: of generated sets; 0 for the paper's.
        learning: what all trainings are told.
        lift, encoder, together, tuned: steps of the stages; 0 for the system's own.
        batch: of the lift.
        seeds: of the rows.
        folders: the user's, by their variables.
    """

    name: str
    system: str
    images: int
    images_first: int
    images_test: int
    learning: str
    lift: int
    encoder: int
    together: int
    tuned: int
    batch: int
    seeds: tuple[int, ...]
    folders: Mapping[str, str]


_SCALES = (
    _Scale(
        name="tiny",
        system="hand-object-small",
        images=4000,
        images_first=4000,
        images_test=500,
        # Crops as exact as the test's, and little augmentation of how they look.
        learning=(
            "--set crop.size=96 --set crop.patch=150 --set crop.margin=1.8 --set crop.first_pass_share=0 "
            "--set augment.cover=0 --set augment.blur=0 --set augment.noise=0 --set augment.mix_amplitude=0 "
            "--set augment.shade=0 --set augment.jpeg=0"
        ),
        lift=500,
        encoder=700,
        together=150,
        tuned=200,
        batch=128,
        seeds=(0, 1, 2),
        folders={},
    ),
    _Scale(
        name="full",
        system="hand-object",
        images=0,
        images_first=0,
        images_test=0,
        learning="--device cuda --workers 8",
        lift=0,
        encoder=0,
        together=0,
        tuned=0,
        batch=0,
        seeds=(0,),
        folders={
            "FPHA": "FPHA with its object poses and models",
            "OBMAN": "ObMan with ShapeNetCore.v2 in it, for the objects' boxes",
        },
    ),
)
_LIFTS = ("u-net", "hand", "object", "separate", "context")
# Nothing of a picture is looked at where true points are lifted.
_GIVEN = "--set points=given --set crop.size=32 --set crop.patch=50"
_WHOLE = """--set 'only=["lift","encoder","together"]'"""
_TUNED = """--set 'only=["affinity"]'"""
# Options of the fine-tuning, by row.
_FORMS = {
    "MSE": "--set stages.3.losses.affinity=0",
    "MSE + Physical loss": "--set form=printed",
    "printed, each joint once": "--set form=printed --set duplicates=false",
    "as in the public code, with its centre loss": "--set form=code --set stages.3.losses.centre=1",
    "soft": "--set form=soft",
}


def _folder(scale: _Scale, name: str) -> str:
    return f"{{data}}/s5-{scale.name}-{name}"


def _words(*parts: str) -> str:
    return " ".join(" ".join(parts).split())


def _data(scale: _Scale, first: bool) -> str:
    if scale.folders:
        return "--data obman:$OBMAN" if first else "--data fpha:$FPHA"
    return f"--data {_folder(scale, 'others' if first else 'grasps')}"


def _draw(scale: _Scale) -> tuple[str, ...]:
    """The commands that draw what is learned and tested; none for the paper's own sets."""
    if scale.folders:
        return ()
    return tuple(
        f"knuckle synth {_folder(scale, name)} --images {images} --preset {preset} --size 192 --seed {seed}"
        for name, preset, images, seed in (
            ("others", _OTHERS, scale.images_first, 50),
            ("grasps", _GRASPS, scale.images, 51),
            # With another seed than what is trained on, so that no picture is in both.
            ("test", _GRASPS, scale.images_test, 1051),
        )
    )


def _steps(scale: _Scale, **counts: int) -> str:
    """Settings of the stages' lengths, by their places."""
    places = {"lift": 0, "encoder": 1, "together": 2, "tuned": 3}
    lengths = [f"--set stages.{places[name]}.steps={count}" for name, count in counts.items() if count]
    return " ".join([*lengths, f"--set stages.0.batch={scale.batch}"] if scale.batch else lengths)


def _train(scale: _Scale, first: bool, out: str, options: str) -> str:
    return _words("knuckle train", scale.system, _data(scale, first), "--out", out, scale.learning, options)


def _checkpoint(folder: str, steps: int) -> str:
    return f"--from-checkpoint {folder}/step-{steps:07d}"


def _lift_steps(scale: _Scale) -> int:
    return scale.lift or 430000


def _whole_steps(scale: _Scale) -> int:
    return (scale.lift + scale.encoder + scale.together) or 430000 + 43000 + 4300


def _evaluation(scale: _Scale) -> str:
    where = "--protocol fpha-ho --root $FPHA" if scale.folders else f"--protocol own --root {_folder(scale, 'test')}"
    return f"knuckle eval {{checkpoint}} {where} --crops truth --hand network --resamples 0"


def _lifted(kind: str) -> dict[str, Trial]:
    """Trials of a lift from true points: other objects first, then those that are tested."""
    trials = {}
    for scale in _SCALES:
        options = f"{_GIVEN} --set lift={kind} {_steps(scale, lift=scale.lift)}"
        first = _folder(scale, f"first-lift-{kind}")
        before = (*_draw(scale), _train(scale, True, first, options))
        begin = _checkpoint(first, _lift_steps(scale))
        train = _train(scale, False, "{run} --seed {seed}", f"{options} {begin}")
        trials[scale.name] = Trial(before, train, {"test": _evaluation(scale)}, scale.seeds, scale.folders)
    return trials


def _first(scale: _Scale, kind: str) -> tuple[str, str]:
    """The command that trains a whole network on other objects, and how to begin with it."""
    out = _folder(scale, f"first-{kind}")
    options = f"{_WHOLE} --set lift={kind} {_stages(scale)}"
    return _train(scale, True, out, options), _checkpoint(out, _whole_steps(scale))


def _stages(scale: _Scale) -> str:
    return _steps(scale, lift=scale.lift, encoder=scale.encoder, together=scale.together)


def _whole(kind: str) -> dict[str, Trial]:
    """Trials of a network with its encoder, without fine-tuning."""
    trials = {}
    for scale in _SCALES:
        first, begin = _first(scale, kind)
        options = f"{_WHOLE} --set lift={kind} {_stages(scale)} {begin}"
        train = _train(scale, False, "{run} --seed {seed}", options)
        trials[scale.name] = Trial(
            (*_draw(scale), first), train, {"test": _evaluation(scale)}, scale.seeds, scale.folders
        )
    return trials


def _tuned(form: str, seeds: Sequence[int] = ()) -> dict[str, Trial]:
    """Trials of fine-tuning, which all begin with the same network for each seed."""
    trials = {}
    for scale in _SCALES:
        first, begin = _first(scale, "context")
        base = _folder(scale, "base-{seed}")
        options = f"{_WHOLE} {_stages(scale)} --seed {{seed}} {begin}"
        before = (*_draw(scale), first, _train(scale, False, base, options))
        tuning = f"{_TUNED} {_steps(scale, tuned=scale.tuned)} {_FORMS[form]}"
        train = _train(scale, False, "{run} --seed {seed}", f"{tuning} {_checkpoint(base, _whole_steps(scale))}")
        trials[scale.name] = Trial(
            before, train, {"test": _evaluation(scale)}, tuple(seeds) or scale.seeds, scale.folders
        )
    return trials


_ERRORS = (
    Metric("hand", "mm", "test", "joints_camera"),
    Metric("object", "mm", "test", "corners"),
    Metric("hand, root-relative", "mm", "test", "joints_root"),
    Metric("object, root-relative", "mm", "test", "corners_root"),
)
_GRIP = (
    Metric("deepest joint in the box", "mm", "test", "penetration", 1),
    Metric("hands with two contacts", "%", "test", "contact_share", 1),
    Metric("spread of contacts", "", "test", "contact_spread", 3),
)
_TRUTH = tuple(
    Metric(f"{metric.name}, truth", metric.unit, metric.evaluation, f"{metric.key}_truth", metric.digits)
    for metric in _GRIP
)


def _row(name: str, trials: Mapping[str, Trial], training: str, *figures: float | None) -> Row:
    """A row with the paper's errors of hand and object."""
    known = {m.name: figure for m, figure in zip(_ERRORS, figures, strict=False) if figure is not None}
    return Row(name, trials, known, training)


_OURS = _tuned("MSE + Physical loss")
_TINY = _SCALES[0]

PAPER = Paper(
    "s5",
    "S5: Zhuang and Mu, Joint Hand-Object Pose Estimation with Differentiably-Learned Physical Contact Point Analysis, "
    "ICMR 2021",
    (
        Table(
            "Table 1: errors of hand and object",
            _ERRORS,
            (
                _row("Hope-Net", _whole("u-net"), "u-net with encoder", 15.04, 21.33),
                _row("Ours", _OURS, "fine-tuned, MSE + Physical loss", 12.53, 19.09),
            ),
            "Means over joints and corners in the camera's frame, nothing aligned. In tiny generated pictures of many "
            "cameras, hands and objects are in the place of FPHA, whose one camera and four objects leave less to be "
            "guessed: the distance of hand and object together is most of an error, and errors relative to the wrist "
            f"are given too. {_TINY.images_first:,} pictures of other objects are learned first, then "
            f"{_TINY.images:,}, in the paper's stages of {_TINY.lift}, {_TINY.encoder} and {_TINY.together} steps; "
            f"{_TINY.tuned} of fine-tuning follow. Crops are around the true joints.",
        ),
        Table(
            "Table 2: lifts of true points",
            _ERRORS,
            (
                _row("Adaptive Graph U-Net", _lifted("u-net"), "lift, u-net", 14.36, 21.65),
                _row("Hand Sub-graph Only", _lifted("hand"), "lift, hand", 12.22),
                _row("Object Sub-graph Only", _lifted("object"), "lift, object", None, 14.41),
                _row("Both, without context", _lifted("separate"), "lift, separate"),
                _row("Full Graph", _lifted("context"), "lift, context", 10.38, 13.85),
            ),
            "The object's sub-graph alone lifts no joints: they are put on their sight lines, at the object's depth, "
            "and their error says nothing of it.",
        ),
        Table(
            "Table 3: losses",
            (*_ERRORS, *_GRIP, *_TRUTH),
            (
                _row("MSE", _tuned("MSE"), "fine-tuned, MSE", 12.83, 20.83),
                _row("MSE + Physical loss", _OURS, "fine-tuned, MSE + Physical loss", 12.53, 19.09),
                *(
                    _row(name, _tuned(name, seeds), f"fine-tuned, {name}")
                    for name, seeds in (
                        ("printed, each joint once", (0,)),
                        ("as in the public code, with its centre loss", ()),
                        ("soft", ()),
                    )
                ),
            ),
            "All rows go on from the same network of each seed, for as many steps. The paper's form moves the corners "
            "alone: its gradient for the joints is exactly 0. The soft form, which is ours, moves both. In the last "
            "columns a joint touches the box within 15 mm of its surface, or inside; the spread of contacts is 0 where "
            "all are on one side of the box's axis and 1 where their directions balance.",
        ),
    ),
)
