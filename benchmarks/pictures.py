"""What the parts of the generator are worth: an ablation of `knuckle synth`, judged on photographs.

    BACKGROUNDS=FOLDER REAL=FOLDER python -m benchmarks pictures --preset tiny
    BACKGROUNDS=FOLDER REAL=FOLDER python -m benchmarks pictures --preset tiny --table 'Realism*'

BACKGROUNDS holds photographs without hands. REAL holds photographs of hands with joints in space (truth.json), which
are used for nothing else: figures alone are kept.
"""

from dataclasses import dataclass

from benchmarks.tables import Metric, Paper, Row, Table, Trial


@dataclass(frozen=True)
class _Scale:
    """Sizes under one preset: numbers of pictures, their side in pixels, and what `knuckle train` is told.

    Attributes:
        crops, grasps: pictures of the presets `crop` and `grasp` that a row is trained on.
        by_renderer: pictures of `crop` that a row of the table of renderers is trained on.
        test: pictures of `crop` that all rows are tested on.
        learning: what all trainings are told.
        steps: of a row's training.
        start_images, start_steps: pictures, and steps of training on them, of the network that all rows begin with; 0
            where they begin with random weights.
    """

    name: str
    crops: int
    grasps: int
    by_renderer: int
    test: int
    side: int
    learning: str
    steps: int
    start_images: int
    start_steps: int


_SCALES = (
    _Scale(
        name="tiny",
        crops=3000,
        grasps=600,
        by_renderer=400,
        test=400,
        side=128,
        # The shipped network at half its width, on crops of 64 pixels.
        learning=(
            "--batch 64 --set crop.size=64 --set crop.patch=100 --set stem=[16] --set widths=[32,64,128] --set width=64"
        ),
        steps=800,
        start_images=3000,
        start_steps=2500,
    ),
    _Scale(
        name="full",
        crops=90000,
        grasps=18000,
        by_renderer=9000,
        test=4000,
        side=192,
        learning="--batch 256 --device cuda --workers 8",
        steps=30000,
        start_images=0,
        start_steps=0,
    ),
)
SEEDS = (0, 1, 2)
_GRASPS_SHARE = 0.2  # of each batch
_PHOTOGRAPHS = "--backgrounds $BACKGROUNDS"
_FOLDERS = {
    "BACKGROUNDS": "photographs without hands, for backgrounds",
    "REAL": "photographs of hands with joints in space to test on (truth.json)",
}
_TEST = "knuckle eval {checkpoint} --protocol own --crops truth --resamples 0 --root "
_REALISM = ("soft-skin", "folds", "contact-shadows", "mixed-light", "lens", "sensor")


def _folder(scale: _Scale, name: str) -> str:
    return f"{{data}}/pictures-{scale.name}-{name}"


def _draw(scale: _Scale, name: str, preset: str, images: int, seed: int, options: str) -> str:
    numbers = f"--images {images} --preset {preset} --size {scale.side} --seed {seed}"
    return f"knuckle synth {_folder(scale, name)} {numbers} {options}".rstrip()


def _start(scale: _Scale) -> tuple[tuple[str, ...], str]:
    """The commands that train the network that all rows begin with, on pictures without any of the parts, and what
    tells a row to begin with it."""
    if not scale.start_steps:
        return (), ""
    data, run = _folder(scale, "plain"), _folder(scale, "start")
    draw = _draw(scale, "plain", "plain", scale.start_images, 60, "--without poses,realism")
    train = f"knuckle train shipped --data {data} --out {run} --steps {scale.start_steps} {scale.learning}"
    return (draw, train), f"--from-checkpoint {run}/step-{scale.start_steps:07d}"


def _trial(scale: _Scale, without: str, photographs: bool, grasps: bool, training: str) -> Trial:
    """A trial under one preset; see _row."""
    options = (f"--without {without} " if without else "") + (_PHOTOGRAPHS if photographs else "")
    # Rows that are trained on the same pictures share their folders.
    about = "-".join(["crops", *without.split(","), *([] if photographs else ["procedural"])]).rstrip("-")
    draw = [_draw(scale, about, "crop", scale.crops, 61, options)]
    sets = [_folder(scale, about)]
    if grasps:
        about = about.replace("crops", "grasps", 1)
        draw.append(_draw(scale, about, "grasp", scale.grasps, 62, options))
        sets = [f"{sets[0]}@{1 - _GRASPS_SHARE}", f"{_folder(scale, about)}@{_GRASPS_SHARE}"]
    return _learn(scale, draw, sets, training)


def _learn(scale: _Scale, draw: list[str], sets: list[str], training: str) -> Trial:
    """A trial on those sets, which the commands `draw` make; `training` is more of `knuckle train`."""
    # The test is drawn with another seed than what is trained on, so that no picture is in both.
    test = _draw(scale, "test", "crop", scale.test, 1061, _PHOTOGRAPHS)
    before, begin = _start(scale)
    data = " ".join(f"--data {name}" for name in sets)
    words = f"knuckle train shipped {data} --out {{run}} --seed {{seed}} --steps {scale.steps} {scale.learning}"
    evaluations = {"held out": _TEST + _folder(scale, "test"), "photographs": _TEST + "$REAL"}
    return Trial((*before, *draw, test), " ".join(f"{words} {begin} {training}".split()), evaluations, SEEDS, _FOLDERS)


def _row(name: str, without: str = "", photographs: bool = True, grasps: bool = True, training: str = "") -> Row:
    """A row, under both presets.

    Args:
        name: of the row.
        without: the part that `knuckle synth --without` leaves out of the pictures that it is trained on.
        photographs: whether there are any among their backgrounds.
        grasps: whether a part of them is of the preset `grasp`.
        training: more of `knuckle train`.
    """
    return Row(name, {scale.name: _trial(scale, without, photographs, grasps, training) for scale in _SCALES})


def _renderer_row(renderer: str) -> Row:
    """A row that is trained on what that renderer made of the same scenes, few as path tracing takes seconds each."""

    def trial(scale: _Scale) -> Trial:
        name = f"crops-{renderer}"
        options = f"{_PHOTOGRAPHS} --renderer {renderer}"
        draw = _draw(scale, name, "crop", scale.by_renderer, 63, options)
        return _learn(scale, [draw], [_folder(scale, name)], "")

    names = {"opengl": "OpenGL", "traced": "path tracing"}
    return Row(names[renderer], {scale.name: trial(scale) for scale in _SCALES})


_METRICS = (
    Metric("PA-MPJPE, photographs", "mm", "photographs", "joints_pa"),
    Metric("2D, photographs", "px", "photographs", "image"),
    Metric("PA-MPJPE, held out", "mm", "held out", "joints_pa"),
    Metric("2D, held out", "px", "held out", "image"),
)

_EVERYTHING = _row("everything")
_TINY = _SCALES[0]

PAPER = Paper(
    "pictures",
    "Generated pictures",
    (
        Table(
            "Parts of the generator",
            _METRICS,
            (
                _EVERYTHING,
                _row("without people", "people"),
                _row("without grasps", grasps=False),
                _row("without touching hands", "pairs"),
                _row("without photographs as backgrounds", photographs=False),
                _row("without Fourier augmentation", training="--set augment.mix_amplitude=0"),
                _row("without realism", "realism"),
                _row("named poses alone", "random-poses"),
                _row("angles anywhere within their limits", "poses"),
            ),
            "The shipped network is trained for as many steps in every row, on as many pictures of the preset `crop` "
            "and, a fifth of each batch, of `grasp`. Tested with crops from the truth, on photographs of hands and on "
            "held-out pictures of the whole preset `crop`. In tiny the network has half its width and crops of 64 "
            f"pixels, and all rows begin with one network that has seen {_TINY.start_images:,} pictures of the preset "
            f"`plain` without any of the parts, for {_TINY.start_steps:,} steps; {_TINY.steps} steps on "
            f"{_TINY.crops:,} and {_TINY.grasps} pictures follow.",
        ),
        Table(
            "Realism, part by part",
            _METRICS,
            (
                _EVERYTHING,
                *(_row(f"without {part.replace('-', ' ')}", part) for part in _REALISM),
                _row("without realism", "realism"),
            ),
            "As in the table above.",
        ),
        Table(
            "Renderer",
            _METRICS,
            (_renderer_row("opengl"), _renderer_row("traced")),
            f"Trained and tested as in the tables above, on {_TINY.by_renderer} pictures of `crop` in tiny, of the "
            "same scenes in both rows: path tracing takes seconds a picture.",
        ),
    ),
)
