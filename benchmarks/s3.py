"""Li et al., "Exploiting Learnable Joint Groups for Hand Pose Estimation", AAAI 2021.

The places of RHD and FreiHAND are taken by pictures of `knuckle synth`; Figure 3 is for who has the sets themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tables import Metric, Paper, Row, Table, Trial


@dataclass(frozen=True)
class _Scale:
    """Sizes under one preset: numbers of pictures, their side in pixels, and what `knuckle train` is told.

    Attributes:
        system: the name of the paper's network and schedule at that size.
        preset, other: kinds of pictures: that of all rows, and that on which groups are learned for the transfer.
        learning: what all trainings are told.
        steps: of a row's training; 0 for the system's own.
        start_steps: of the hourglass that all rows begin with; 0 where each trains its own first.
    """

    name: str
    system: str
    preset: str
    other: str
    images: int
    images_test: int
    side: int
    learning: str
    steps: int
    start_steps: int


_SCALES = (
    _Scale(
        name="tiny",
        system="joint-groups-small",
        preset="bare",
        other="frontal",
        images=6000,
        images_test=500,
        side=128,
        # Crops as exact as the test's, and little augmentation of how they look.
        learning=(
            "--set crop.first_pass_share=0 --set augment.cover=0 --set augment.blur=0 --set augment.noise=0 "
            "--set augment.mix_amplitude=0 --set augment.shade=0 --set augment.jpeg=0"
        ),
        steps=600,
        start_steps=1200,
    ),
    _Scale(
        name="full",
        system="joint-groups",
        preset="central",
        other="held",
        images=41258,
        images_test=2728,
        side=320,
        learning="--device cuda --workers 8",
        steps=0,
        start_steps=0,
    ),
)
_TEST = "knuckle eval {{checkpoint}} --protocol {protocol} --root {root} --crops truth --scale truth --depth truth"
# Rows whose order is claimed; and the others.
SEEDS, SEED = (0, 1, 2), (0,)


def _folder(scale: _Scale, name: str) -> str:
    return f"{{data}}/s3-{scale.name}-{name}"


def _words(*parts: str) -> str:
    return " ".join(" ".join(parts).split())


def _draw(scale: _Scale, name: str, preset: str, images: int, seed: int) -> str:
    return f"knuckle synth {_folder(scale, name)} --images {images} --preset {preset} --size {scale.side} --seed {seed}"


def _begin(scale: _Scale) -> tuple[tuple[str, ...], str]:
    """What must be there before a training: pictures, and in tiny the hourglass; and what tells it to begin so."""
    pictures = (
        _draw(scale, "pictures", scale.preset, scale.images, 31),
        # Tests are drawn with another seed than what is trained on, so that no picture is in both.
        _draw(scale, "test", scale.preset, scale.images_test, 1031),
    )
    if not scale.start_steps:
        return pictures, ""
    run = _folder(scale, "hourglass")
    # The first stage alone: the second's single step has next to no rate.
    start = _words(
        f"knuckle train {scale.system} --data {_folder(scale, 'pictures')} --out {run} --set groups=1",
        f"--set stages.0.steps={scale.start_steps} --set stages.1.steps=1",
        scale.learning,
    )
    return (*pictures, start), f"--pretrained --set hourglass_from={run}/step-{scale.start_steps + 1:07d}"


def _train(scale: _Scale, data: str, options: str, out: str) -> str:
    """The command that trains a row's network."""
    _, begin = _begin(scale)
    steps = f"--steps {scale.steps}" if scale.steps else ""
    return _words(f"knuckle train {scale.system} --data {data} --out {out}", steps, scale.learning, begin, options)


def _evaluations(scale: _Scale, more: str = "") -> Mapping[str, str]:
    test = _TEST.format(protocol="own-li", root=_folder(scale, "test"))
    return {"test": _words(test, more, "--resamples 0")}


def _grouped(options: str, seeds: Sequence[int] = SEEDS) -> dict[str, Trial]:
    """Trials of a variant of the network; `options` as of `knuckle train`."""
    trials = {}
    for scale in _SCALES:
        before, _ = _begin(scale)
        train = _train(scale, _folder(scale, "pictures"), options, "{run} --seed {seed}")
        trials[scale.name] = Trial(before, train, _evaluations(scale), tuple(seeds) if scale.name == "tiny" else SEED)
    return trials


def _ensemble(options: str) -> dict[str, Trial]:
    """Trials of three networks of one variant, whose outputs are averaged."""
    trials = {}
    for scale in _SCALES:
        before, _ = _begin(scale)
        others = []
        for seed in (1, 2):
            out = _folder(scale, f"ensemble-{seed}")
            before += (_train(scale, _folder(scale, "pictures"), options, f"{out} --seed {seed}"),)
            others.append(f"--ensemble {out}/step-{_steps(scale):07d}")
        train = _train(scale, _folder(scale, "pictures"), options, "{run} --seed {seed}")
        trials[scale.name] = Trial(before, train, _evaluations(scale, " ".join(others)), SEED)
    return trials


def _transfer() -> dict[str, Trial]:
    """Trials with the groups that were learned on other pictures."""
    trials = {}
    for scale in _SCALES:
        before, begin = _begin(scale)
        other, learned = _folder(scale, "other"), _folder(scale, "other-groups")
        before += (
            _draw(scale, "other", scale.other, scale.images, 32),
            _train(scale, other, "", learned),
        )
        given = f"--set groups_from={learned}/step-{_steps(scale):07d}"
        options = given if begin else f"--pretrained {given}"
        train = _train(scale, _folder(scale, "pictures"), options, "{run} --seed {seed}")
        trials[scale.name] = Trial(before, train, _evaluations(scale), SEEDS if scale.name == "tiny" else SEED)
    return trials


def _published(train_sets: Sequence[str], test_set: str, protocol: str) -> dict[str, Trial]:
    """Trials on the published sets, in full alone; the variables are their folders."""
    folders = {"RHD": "RHD v2", "STB": "STB", "DEXTER": "Dexter+Object"}
    scale = _SCALES[1]
    data = " --data ".join(f"{name}:${name.upper()}" for name in train_sets)
    # The fingertips of the last set have no root: their best place and size are taken instead.
    test = f"knuckle eval {{checkpoint}} --protocol {protocol} --root ${test_set} --crops truth"
    if test_set != "DEXTER":
        test += " --scale truth --depth truth"
    used = {name: folders[name] for name in {test_set, *(name.upper() for name in train_sets)}}
    trial = Trial((), _train(scale, data, "", "{run} --seed {seed}"), {"test": test}, SEED, used)
    return {"full": trial}


def _steps(scale: _Scale) -> int:
    """Of a row's training; the system's own are in knuckle.systems.joint_groups."""
    return scale.steps or 100000


_EPE = (
    Metric("mean EPE", "mm", "test", "joints_camera"),
    Metric("median EPE", "mm", "test", "joints_camera.median"),
    Metric("AUC 20-50", "", "test", "joints_camera_auc_20_50_mm", 3),
    Metric("2D", "px", "test", "image"),
)
_ALIGNED = (
    Metric("PA-EPE", "mm", "test", "joints_pa_official"),
    Metric("AUC 0-50", "", "test", "joints_pa_official_auc_0_50_mm", 3),
)

_BASE, _MANUAL, _RANDOM = "--set groups=1", "--set grouping=manual", "--set grouping=random"
_UNFUSED = "--set fuse=false"
_TRAININGS: Mapping[str, Mapping[str, Trial]] = {
    "1 group": _grouped(_BASE),
    "manual groups": _grouped(f"{_MANUAL} {_UNFUSED}"),
    "manual groups, fused": _grouped(_MANUAL),
    "learned groups": _grouped(_UNFUSED),
    "learned groups, fused": _grouped(""),
    "learned groups, fused, ensemble": _ensemble(""),
    "random groups": _grouped(f"{_RANDOM} --set grouping_seed={{seed}} {_UNFUSED}"),
    "groups of other pictures": _transfer(),
} | {f"{count} learned groups": _grouped(f"--set groups={count} {_UNFUSED}", SEED) for count in (2, 4, 5, 21)}


def _row(name: str, training: str, **figures: float) -> Row:
    """A row of a training; figures by metric, with underscores for spaces."""
    names = {"mean": "mean EPE", "median": "median EPE", "auc": "AUC 20-50", "pa": "PA-EPE", "auc_pa": "AUC 0-50"}
    return Row(name, _TRAININGS[training], {names[key]: value for key, value in figures.items()}, training)


_TINY = _SCALES[0]

PAPER = Paper(
    "s3",
    "S3: Li et al., Exploiting Learnable Joint Groups for Hand Pose Estimation, AAAI 2021",
    (
        Table(
            "Table 1: as on FreiHAND",
            _ALIGNED,
            (
                _row("Baseline", "1 group", pa=9.32, auc_pa=0.816),
                _row("+ Group Learned", "learned groups", pa=8.62, auc_pa=0.830),
                _row("+ Fea. Fuse", "learned groups, fused", pa=8.56, auc_pa=0.831),
                _row("+ Ensemble", "learned groups, fused, ensemble", pa=7.96, auc_pa=0.842),
            ),
            "Aligned as by FreiHAND's script; the paper prints centimetres under the heading mm. Pictures of the "
            f"preset `{_TINY.preset}` (tiny) and `{_SCALES[1].preset}` (full) stand for FreiHAND's. The ensemble is "
            "the mean of the outputs of three networks that differ in the seed: the work that the paper cites for it "
            "(Liu and Liu, 2018) has separately trained models; which checkpoints its own are, it does not say.",
        ),
        Table(
            "Table 2: effect of groups and of fusion",
            _EPE,
            (
                _row("one group", "1 group", mean=11.534, median=8.885, auc=0.951),
                _row("manual", "manual groups", mean=11.205, median=8.622, auc=0.954),
                _row("manual, fused", "manual groups, fused", mean=11.021, median=8.543, auc=0.957),
                _row("learned", "learned groups", mean=10.771, median=8.283, auc=0.958),
                _row("learned, fused", "learned groups, fused", mean=10.653, median=8.200, auc=0.960),
                _row("random", "random groups"),
                _row("learned on other pictures, fused", "groups of other pictures"),
            ),
            "The same pictures stand for RHD's. Crops, the root's depth and the length of the bone are the true ones. "
            f"In tiny all rows begin with one hourglass, {_TINY.start_steps:,} steps of 64 in the picture, and have "
            f"{_TINY.steps} more steps. The last two rows are ours: groups at random, others for each seed; and those "
            f"that were learned on the preset `{_TINY.other}` (tiny) or `{_SCALES[1].other}` (full), kept.",
        ),
        Table(
            "Table 3: number of groups",
            _EPE,
            (
                _row("1", "1 group", mean=11.534, median=8.885, auc=0.951),
                _row("2", "2 learned groups", mean=11.042, median=8.478, auc=0.956),
                _row("3", "learned groups", mean=10.771, median=8.283, auc=0.958),
                _row("4", "4 learned groups", mean=10.808, median=8.340, auc=0.958),
                _row("5", "5 learned groups", mean=10.923, median=8.418, auc=0.957),
                _row("21", "21 learned groups", mean=10.964, median=8.422, auc=0.956),
            ),
            "Without fusion, as the paper's figure for 3 groups is the one of Table 2 without it.",
        ),
        Table(
            "Figure 3: the published sets",
            (
                Metric("AUC 20-50", "", "test", "joints_root_scale_auc_20_50_mm", 3),
                Metric("EPE", "mm", "test", "joints_root_scale"),
            ),
            (
                Row("RHD", _published(("rhd",), "RHD", "rhd-zimmermann"), {"AUC 20-50": 0.960, "EPE": 10.653}),
                Row("STB", _published(("stb",), "STB", "stb-zimmermann")),
            ),
            "For who has the sets: RHD=FOLDER STB=FOLDER python -m benchmarks s3 --preset full --table 'Figure 3*'. "
            "`knuckle eval ... --plots FOLDER` draws the curves. The paper's curve for STB is not printed as a number.",
        ),
        Table(
            "Figure 3c: Dexter+Object",
            (
                Metric("AUC 0-50", "", "test", "joints_st_auc_0_50_mm", 3),
                Metric("EPE, best root and scale", "mm", "test", "joints_st"),
            ),
            (Row("Dexter+Object", _published(("rhd", "stb"), "DEXTER", "dexter-object")),),
            "Trained on RHD and STB, tested on the fingertips of a set that was not trained on.",
        ),
    ),
)
