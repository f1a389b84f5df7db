"""Fan and Wang, "Lightweight Estimation of Hand Mesh and Biomechanically Feasible Kinematic Parameters", 2023.

FreiHAND's place is taken by pictures of the preset `plain` of `knuckle synth`; ManoRender and AngRender are its presets
`manorender` and `angrender`. What the networks cost is in docs/mesh.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tables import Metric, Paper, Row, Table, Trial


@dataclass(frozen=True)
class _Scale:
    """Sizes under one preset: numbers of pictures, their side in pixels, and what `knuckle train` is told.

    Attributes:
        system: the name of the paper's network and schedule at that size.
        images, images_poses, images_angles, images_test: of FreiHAND's stand-in, ManoRender, AngRender and the test.
        learning: what all trainings of meshes are told.
        steps: of a row's training; 0 for the system's own.
        start_images, start_steps: pictures of the preset `bare`, and steps of training on them, of the network that all
            rows begin with, decoders excepted; 0 where backbones begin with the weights of ImageNet.
        kinematics: what all trainings of inverse kinematics are told.
    """

    name: str
    system: str
    images: int
    images_poses: int
    images_angles: int
    images_test: int
    side: int
    learning: str
    steps: int
    start_images: int
    start_steps: int
    kinematics: str


_SCALES = (
    _Scale(
        name="tiny",
        system="lite-mesh-small",
        images=1000,
        images_poses=2000,
        images_angles=2000,
        images_test=300,
        side=128,
        # Crops upright and as exact as the test's, and little augmentation of how they look.
        learning=(
            "--set crop.first_pass_share=0 --set crop.orientation=upright --set augment.cover=0 --set augment.blur=0 "
            "--set augment.noise=0 --set augment.mix_amplitude=0 --set augment.shade=0 --set augment.jpeg=0"
        ),
        steps=300,
        start_images=5000,
        start_steps=1100,
        kinematics="--steps 2500",
    ),
    _Scale(
        name="full",
        system="lite-mesh",
        images=130240,
        images_poses=57280,
        images_angles=71424,
        images_test=3960,
        side=256,
        learning="--device cuda --workers 8",
        steps=0,
        start_images=0,
        start_steps=0,
        kinematics="--device cuda",
    ),
)
_TEST = "knuckle eval {checkpoint} --protocol own --root {root} --crops truth --resamples 0 --hand "
# Rows whose order is claimed; and the others.
SEEDS, SEED = (0, 1, 2), (0,)
_BASE, _POSES, _ANGLES = "frei", "manorender", "angrender"
# A fifth of FreiHAND's stand-in, for what other pictures are worth where there are few.
_FEW, _FEWER, _LONGER = "few", 5, 4


def _folder(scale: _Scale, name: str) -> str:
    return f"{{data}}/s4-{scale.name}-{name}"


def _draw(scale: _Scale, name: str, preset: str, images: int, seed: int) -> str:
    return f"knuckle synth {_folder(scale, name)} --images {images} --preset {preset} --size {scale.side} --seed {seed}"


def _sets(scale: _Scale, names: Sequence[str]) -> tuple[str, ...]:
    """The commands that draw what rows are trained and tested on."""
    every = {
        _BASE: _draw(scale, _BASE, "plain", scale.images, 41),
        _FEW: _draw(scale, _FEW, "plain", scale.images // _FEWER, 41),
        _POSES: _draw(scale, _POSES, "manorender", scale.images_poses, 42),
        _ANGLES: _draw(scale, _ANGLES, "angrender", scale.images_angles, 43),
        # Tests are drawn with another seed than what is trained on, so that no picture is in both.
        "test": _draw(scale, "test", "plain", scale.images_test, 1041),
    }
    return tuple(every[name.partition("@")[0]] for name in (*names, "test"))


def _words(*parts: str) -> str:
    return " ".join(" ".join(parts).split())


def _train_mesh(
    scale: _Scale, names: Sequence[str], options: str, out: str, longer: int = 1
) -> tuple[tuple[str, ...], str]:
    """What must be there to train a network of meshes on some sets, and the command that trains it."""
    shares = [name.partition("@")[::2] for name in names]
    data = " ".join(f"--data {_folder(scale, name)}" + (f"@{share}" if share else "") for name, share in shares)
    before, begin = _sets(scale, names), "--pretrained"
    steps = f"--steps {scale.steps * longer}" if scale.steps else f"--steps {_epochs(scale, names, options)}"
    if scale.start_steps:
        start = _folder(scale, "start")
        before += (
            _draw(scale, "bare", "bare", scale.start_images, 40),
            _words(
                f"knuckle train {scale.system} --data {_folder(scale, 'bare')} --out {start}",
                f"--steps {scale.start_steps}",
                scale.learning,
            ),
        )
        begin = f"--pretrained --set pretrained_from={start}/step-{scale.start_steps:07d}"
    return before, _words(f"knuckle train {scale.system} {data} --out {out}", steps, scale.learning, begin, options)


def _epochs(scale: _Scale, names: Sequence[str], options: str) -> int:
    """Steps of the paper's 30 epochs in batches of 32; of I2L-MeshNet's 25 in the same."""
    count = {_BASE: scale.images, _FEW: scale.images // _FEWER}
    count |= {_POSES: scale.images_poses, _ANGLES: scale.images_angles}
    return (25 if "resnet50" in options else 30) * sum(count[name.partition("@")[0]] for name in names) // 32


def _mesh(
    names: Sequence[str], options: str = "", seeds: Sequence[int] = SEEDS, tiny: bool = True, longer: int = 1
) -> dict[str, Trial]:
    """Trials of a network of meshes.

    Args:
        names: the sets that it is trained on, "set" or "set@share".
        options: more of `knuckle train`.
        seeds: of the tiny setting.
        tiny: whether two cores can train it.
        longer: how many times the tiny setting's steps.
    """
    trials = {}
    for scale in _SCALES if tiny else _SCALES[1:]:
        before, train = _train_mesh(scale, names, options, "{run} --seed {seed}", longer)
        test = _TEST.replace("{root}", _folder(scale, "test"))
        evaluations = {"mesh": test + "network", "fit": test + "fit"}
        trials[scale.name] = Trial(before, train, evaluations, tuple(seeds) if scale.name == "tiny" else SEED)
    return trials


def _kinematics(options: str, known: bool) -> dict[str, Trial]:
    """Trials of inverse kinematics on the meshes of one network, which all of these rows share."""
    trials = {}
    every = (_BASE, _POSES, _ANGLES)
    for scale in _SCALES:
        out = _folder(scale, "mesh")
        before, mesh = _train_mesh(scale, every, "", out)
        steps = scale.steps or _epochs(scale, every, "")
        data = " ".join(f"--data {_folder(scale, name)}" for name in every)
        shape = "--set known_shape=true" if known else ""
        train = _words(f"knuckle train ik {data} --out {{run}} --seed {{seed}}", scale.kinematics, options, shape)
        test = _TEST.format(checkpoint=f"{out}/step-{steps:07d}", root=_folder(scale, "test"))
        # The scale of a known shape is known too: papers compare aligned hands, whose size does not count.
        more = " --ik {checkpoint}" + (" --shape truth --scale truth" if known else "")
        evaluations = {"alone": f"{test}ik{more}", "refined": f"{test}refined{more}"}
        trials[scale.name] = Trial((*before, mesh), train, evaluations, SEEDS if scale.name == "tiny" else SEED)
    return trials


def _metrics(evaluation: str, name: str = "") -> tuple[Metric, ...]:
    return (
        Metric(f"PA-MPJPE{name}", "mm", evaluation, "joints_pa"),
        Metric(f"PA-MPVPE{name}", "mm", evaluation, "vertices_pa"),
        Metric(f"F@5{name}", "", evaluation, "f5_procrustes", 3),
        Metric(f"F@15{name}", "", evaluation, "f15_procrustes", 3),
    )


def _row(name: str, trials: Mapping[str, Trial], training: str, *figures: float, refined: Sequence[float] = ()) -> Row:
    """A row with the paper's PA-MPJPE, PA-MPVPE, F@5 and F@15, and the same after refinement."""
    names = [metric.name for metric in (*_metrics(""), *_metrics("", ", refined"))]
    return Row(name, trials, dict(zip(names, (*figures, *refined), strict=False)), training)


_LITE = _mesh((_BASE,), "--set decoder=C")
_ALL = _mesh((_BASE, _POSES, _ANGLES), "--set decoder=C")
_ORIGINAL = "--set decoder=original --set backbone=resnet50"
_TINY = _SCALES[0]

PAPER = Paper(
    "s4",
    "S4: Fan and Wang, Lightweight Estimation of Hand Mesh and Biomechanically Feasible Kinematic Parameters, 2023",
    (
        Table(
            "Table 2: decoders",
            _metrics("mesh"),
            (
                _row("Baseline", _mesh((_BASE,), _ORIGINAL, tiny=False), "original", 7.4, 7.6, 0.681, 0.973),
                _row(
                    "Ef-B0 Bb.",
                    _mesh((_BASE,), "--set decoder=original", tiny=False),
                    "original decoder",
                    8.0,
                    8.1,
                    0.649,
                    0.969,
                ),
                _row("+ Dw Dec. (A)", _mesh((_BASE,), "--set decoder=A"), "decoder A", 8.1, 8.2, 0.642, 0.967),
                _row("+ MBConv Dec. (B)", _mesh((_BASE,), "--set decoder=B"), "decoder B", 7.9, 8.0, 0.655, 0.969),
                _row("+ Dw SE Dec. (C)", _LITE, "decoder C", 7.6, 7.7, 0.670, 0.973),
            ),
            "Pictures of the preset `plain` stand for FreiHAND's. In tiny the crops have 128 pixels, the backbone is "
            f"MobileNetV2 at half width, and all rows begin with one network that has seen {_TINY.start_images:,} "
            f"pictures of the preset `bare`, {_TINY.start_steps} steps of 32: with all of it but the decoders, as the "
            f"paper's begin with ImageNet's weights. Then they have {_TINY.steps} steps on {_TINY.images:,} pictures. "
            "Meshes are compared without the forearm.",
        ),
        Table(
            "Table 3: synthetic data",
            (*_metrics("mesh"), *_metrics("fit", ", fitted")[:2]),
            (
                _row("Lite, Frei", _LITE, "decoder C", 7.6, 7.7, 0.670, 0.973),
                _row(
                    "Lite, Frei+MR",
                    _mesh((_BASE, _POSES), "--set decoder=C", SEED),
                    "frei + manorender",
                    7.4,
                    7.5,
                    0.680,
                    0.975,
                ),
                _row(
                    "Lite, Frei+AR",
                    _mesh((_BASE, _ANGLES), "--set decoder=C", SEED),
                    "frei + angrender",
                    7.3,
                    7.4,
                    0.687,
                    0.975,
                ),
                _row("Lite, Frei+MR+AR", _ALL, "frei + manorender + angrender", 7.0, 7.1, 0.700, 0.979),
                Row(
                    "Lite, a fifth of Frei, longer",
                    _mesh((_FEW,), "--set decoder=C", SEED, longer=_LONGER),
                    training="few, longer",
                ),
                Row(
                    "Lite, a fifth of Frei, longer, half of each batch MR and AR",
                    _mesh(
                        (f"{_FEW}@0.5", f"{_POSES}@0.25", f"{_ANGLES}@0.25"), "--set decoder=C", SEED, longer=_LONGER
                    ),
                    training="few + manorender + angrender, longer",
                ),
                _row(
                    "Original, Frei",
                    _mesh((_BASE,), _ORIGINAL, tiny=False),
                    "original",
                    7.4,
                    7.6,
                    0.681,
                    0.943,
                ),
                _row(
                    "Original, Frei+MR+AR",
                    _mesh((_BASE, _POSES, _ANGLES), _ORIGINAL, tiny=False),
                    "original, frei + manorender + angrender",
                    6.7,
                    6.8,
                    0.719,
                    0.981,
                ),
            ),
            f"In tiny {_TINY.images:,} pictures stand for FreiHAND's, {_TINY.images_poses:,} and "
            f"{_TINY.images_angles:,} for ManoRender's and AngRender's; all rows have as many steps, "
            f"the longer ones {_LONGER} times as many. The fitted hand is "
            "the package's own fit to the network's joints.",
        ),
        Table(
            "Table 4: inverse kinematics",
            (*_metrics("alone"), *_metrics("refined", ", refined")),
            (
                _row("Baseline IK, 45+10", _kinematics("--set angles=45", False), "ik 45", 7.1, 7.3, 0.686, 0.979),
                _row(
                    "Baseline IK, 45, shape known",
                    _kinematics("--set angles=45", True),
                    "ik 45, shape known",
                    4.8,
                    5.1,
                    0.817,
                    0.918,
                ),
                _row(
                    "IK, 23+10",
                    _kinematics("", False),
                    "ik 23",
                    7.4,
                    7.6,
                    0.668,
                    0.978,
                    refined=(6.9, 7.0, 0.706, 0.980),
                ),
                _row(
                    "IK, 23, shape known",
                    _kinematics("", True),
                    "ik 23, shape known",
                    4.8,
                    5.0,
                    0.831,
                    0.998,
                    refined=(3.7, 3.8, 0.919, 0.999),
                ),
            ),
            "From the meshes of one network, trained as Frei+MR+AR. Refined: 20 steps towards the network's joints and "
            "vertices, from there on with 23 angles in every row; the paper refines its own network alone. Its rows of "
            "known shape are tested on a part of FreiHAND's training set, ours on the same pictures as the others, "
            "with the hand's true size. The poses of all pictures here have 23 angles, so that 45 have nothing to add.",
        ),
    ),
)
