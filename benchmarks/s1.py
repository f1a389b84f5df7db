"""Spurr et al., "Weakly Supervised 3D Hand Pose Estimation via Biomechanical Constraints", ECCV 2020.

The paper's data are RHD (synthetic), FreiHAND and HO-3D (real). Their places are taken by three generated domains, A, B
and C: the presets `bare`, `frontal` and `held` of `knuckle synth`; in the last table by the user's photographs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tables import Metric, Paper, Row, Table, Trial


@dataclass(frozen=True)
class _Scale:
    """Sizes under one preset: numbers of pictures, their side in pixels, and what `knuckle train` is told.

    Attributes:
        system: the name of the paper's network and schedule at that size.
        learning: what all trainings on generated domains are told.
        photographs: what all trainings with photographs are told.
        steps, steps_photographs: of a row's training on generated domains, and with photographs; 0 for the system's
            own.
        start: steps of the network that rows start from, with 3D labels of A and then with 2D labels of B besides;
            (0, 0) where they start from the weights of ImageNet.
        start_photographs: the same with 3D labels of generated pictures, for trainings with photographs.
        constraints: weights of the losses of bones, palm and angles.
    """

    name: str
    system: str
    images_a: int
    images_b: int
    images_test: int
    images_many: int
    side: int
    learning: str
    photographs: str
    steps: int
    steps_photographs: int
    start: tuple[int, int]
    start_photographs: int
    constraints: tuple[float, float, float]


# Two cores learn in minutes with crops upright and as exact as the test's, and little augmentation of how they look.
# The constraints correct depths that are roughly right, of joints that are where they should be in the picture, and no
# others: rows with B start from one network that has learned A in space and then B in the picture.
_QUICK = (
    "--batch 64 --set crop.size=64 --set crop.patch=100 --set crop.first_pass_share=0 --set crop.orientation=upright "
    "--set augment.cover=0 --set augment.blur=0 --set augment.noise=0 "
)
_NO_LOOKS = "--set augment.mix_amplitude=0 --set augment.shade=0 --set augment.jpeg=0"
_SCALES = (
    _Scale(
        name="tiny",
        system="biomechanical-small",
        images_a=6000,
        images_b=6000,
        images_test=500,
        images_many=10000,
        side=128,
        learning=_QUICK + _NO_LOOKS,
        photographs=_QUICK,
        steps=1200,
        steps_photographs=500,
        start=(1500, 2000),
        start_photographs=5000,
        constraints=(10.0, 3.0, 10.0),
    ),
    _Scale(
        name="full",
        system="biomechanical",
        images_a=41258,
        images_b=32560,
        images_test=4000,
        images_many=75000,
        side=224,
        learning="--device cuda --pretrained",
        photographs="--device cuda --pretrained",
        steps=0,
        steps_photographs=0,
        start=(0, 0),
        start_photographs=0,
        constraints=(5.0, 0.5, 0.5),
    ),
)
_TEST = "knuckle eval {{checkpoint}} --protocol own-spurr --root {root} --crops truth --scale truth"
_CONSTRAINTS = ("bones", "palm", "angles")
# Of the 3D labels, in Figure 5.
SHARES = (0.05, 0.2)
SEEDS = (0,)
SEEDS_PHOTOGRAPHS = (0, 1, 2)
_FOLDERS = {
    "WEAK": "photographs with 2D joints (the reader `weak`)",
    "PHOTOGRAPHS": "photographs with joints in space to test on (truth.json)",
}


def _draw(scale: _Scale, name: str, preset: str, images: int, seed: int) -> str:
    return f"knuckle synth {_folder(scale, name)} --images {images} --preset {preset} --size {scale.side} --seed {seed}"


def _folder(scale: _Scale, name: str) -> str:
    return f"{{data}}/s1-{scale.name}-{name}"


def _start(
    scale: _Scale, name: str, steps: int, sets: Sequence[str], learning: str, options: str = ""
) -> tuple[str, str]:
    """The command that trains a network which rows start from, and what tells them so; both empty where none is."""
    if not steps:
        return "", ""
    run = _folder(scale, name)
    data = " ".join(f"--data {one}" for one in sets)
    losses = " ".join(f"--set stages.0.losses.{name}=0" for name in _CONSTRAINTS)
    words = ["knuckle train", scale.system, data, "--out", run, "--steps", str(steps), learning, options, losses]
    return " ".join(" ".join(words).split()), f"--from-checkpoint {run}/step-{steps:07d}"


def _train(
    scale: _Scale, sets: Sequence[str], steps: int, learning: str, constraints: Sequence[str], options: str
) -> str:
    """The command that trains on some data sets with some of the constraints."""
    if steps:
        options = f"--steps {steps} {options}"
    weights = dict(zip(_CONSTRAINTS, scale.constraints, strict=True))
    losses = [f"--set stages.0.losses.{k}={w if k in constraints else 0:g}" for k, w in weights.items()]
    data = [f"--data {name}" for name in sets]
    return " ".join(
        [
            f"knuckle train {scale.system}",
            *data,
            "--out {run} --seed {seed}",
            *learning.split(),
            *options.split(),
            *losses,
        ]
    )


def _generated(
    sets: str, constraints: Sequence[str] = (), options: str = "", limits: str = "b", share: float = 1.0
) -> dict[str, Trial]:
    """Trials on the generated domains.

    Args:
        sets: names of domains, with ":2d" or "@0.5" after them as `knuckle train` takes them; "part" is the first
            `share` of domain B's pictures.
        constraints: of bones, palm, angles.
        options: more of `knuckle train`.
        limits: the domain that they are learned from.
    """
    trials = {}
    for scale in _SCALES:
        part = round(share * scale.images_b)
        draw = [
            _draw(scale, "a", "bare", scale.images_a, 11),
            _draw(scale, "b", "frontal", scale.images_b, 12),
            # Tests are drawn with other seeds than what is trained on, so that no picture is in both.
            _draw(scale, "b-validation", "frontal", scale.images_test, 1012),
            _draw(scale, "b-test", "frontal", scale.images_test, 2012),
            _draw(scale, "c-test", "held", scale.images_test, 1013),
        ]
        if share < 1:
            # Picture i depends on the seed and i alone: these are the first of B.
            draw.append(_draw(scale, f"b-{part}", "frontal", part, 12))
        first, begin = _start(scale, "start-a", scale.start[0], [_folder(scale, "a")], scale.learning)
        steps = scale.steps
        if first:
            draw.append(first)
        if first and sets != "a":
            both = [f"{_folder(scale, 'a')}@0.5", f"{_folder(scale, 'b')}:2d@0.5"]
            second, begin = _start(scale, "start-b", scale.start[1], both, scale.learning, begin)
            draw.append(second)
        elif first:
            # As many steps in all as the rows that start from the second network.
            steps += scale.start[1]
        file = f"{_folder(scale, 'limits')}-{limits}.npz"
        draw.append(f"knuckle limits {_folder(scale, limits)} --out {file}")
        names = [name.replace("part", f"b-{part}") for name in sets.split()]
        train = _train(
            scale,
            [_folder(scale, name) for name in names],
            steps,
            scale.learning,
            constraints,
            f"--set limits={file} {begin} {options}",
        )
        evaluations = {
            name: _TEST.format(root=_folder(scale, folder))
            for name, folder in (("validation", "b-validation"), ("test", "b-test"), ("third", "c-test"))
        }
        trials[scale.name] = Trial(tuple(draw), train, evaluations, SEEDS)
    return trials


def _photographs(weak: bool, constraints: Sequence[str] = ()) -> dict[str, Trial]:
    """Trials that learn depth from generated pictures, and the look of real hands from photographs with 2D joints."""
    trials = {}
    for scale in _SCALES:
        draw = (_draw(scale, "central", "central", scale.images_many, 21),)
        sets = [_folder(scale, "central")]
        start, begin = _start(scale, "start-photographs", scale.start_photographs, sets, scale.photographs)
        if start:
            draw = (*draw, start)
        if weak:
            sets = [f"{_folder(scale, 'central')}@0.5", "weak:$WEAK:2d@0.5"]
        train = _train(scale, sets, scale.steps_photographs, scale.photographs, constraints, begin)
        folders = _FOLDERS if weak else {"PHOTOGRAPHS": _FOLDERS["PHOTOGRAPHS"]}
        trials[scale.name] = Trial(
            draw, train, {"photographs": _TEST.format(root="$PHOTOGRAPHS")}, SEEDS_PHOTOGRAPHS, folders
        )
    return trials


# name -> its trials; tables show some of these under names of their own.
_TRAININGS: Mapping[str, Mapping[str, Trial]] = {
    "3D_A": _generated("a"),
    "3D_B": _generated("b"),
    "3D_B without refinement": _generated("b", options="--set refine=false"),
    "3D_A + 3D_B": _generated("a@0.5 b@0.5"),
    "3D_A + 3D_B + BMC": _generated("a@0.5 b@0.5", _CONSTRAINTS),
    "3D_A + 2D_B": _generated("a@0.5 b:2d@0.5"),
    "3D_A + 2D_B + bones": _generated("a@0.5 b:2d@0.5", ("bones",)),
    "3D_A + 2D_B + bones, palm": _generated("a@0.5 b:2d@0.5", ("bones", "palm")),
    "3D_A + 2D_B + BMC": _generated("a@0.5 b:2d@0.5", _CONSTRAINTS),
    "3D_A + 2D_B + BMC, box": _generated("a@0.5 b:2d@0.5", _CONSTRAINTS, "--set angle_region=box"),
    "3D_A + 2D_B + BMC, limits of A": _generated("a@0.5 b:2d@0.5", _CONSTRAINTS, limits="a"),
    "3D_B + BMC": _generated("b", _CONSTRAINTS),
} | {
    f"3D of {share:.1%} of B{' + BMC' if constraints else ''}": _generated(
        "part@0.5 b:2d@0.5", constraints, share=share
    )
    for share in SHARES
    for constraints in ((), _CONSTRAINTS)
}


def _row(training: str, name: str = "", **figures: float) -> Row:
    """A row of a training; figures by metric, with underscores for spaces."""
    return Row(name or training, _TRAININGS[training], {k.replace("_", " "): v for k, v in figures.items()}, training)


def _epe(evaluation: str) -> tuple[Metric, ...]:
    return (
        Metric("mean EPE", "mm", evaluation, "joints_root"),
        Metric("median EPE", "mm", evaluation, "joints_root.median"),
        Metric("AUC 20-50", "", evaluation, "joints_root_auc_20_50_mm", 3),
    )


def _ablation(training: str, name: str, mean: float, median: float, auc: float) -> Row:
    return Row(name, _TRAININGS[training], {"mean EPE": mean, "median EPE": median, "AUC 20-50": auc}, training)


def _aligned(training: str, name: str, mean: float, auc: float) -> Row:
    return Row(name, _TRAININGS[training], {"PA-EPE": mean, "AUC 0-50": auc}, training)


_TINY = _SCALES[0]
_GENERATED_NOTE = (
    "Domain A (preset `bare`) stands for the paper's synthetic RHD, B (`frontal`) for its real FreiHAND; limits are "
    "learned from B's joints. Crops and the length of wrist to middle MCP are the true ones. 2D errors are pixels of "
    f"pictures of {_TINY.side} (tiny) and {_SCALES[1].side} pixels (full), depth and 3D errors root-relative. "
    "The paper's AUCs fit its errors from 20 to 50 mm alone. In tiny, rows with B go on from one network that has "
    "learned A in space and then B in the picture, and the constraints teach depths alone: where joints in the picture "
    "and the root's depth answer to them too, these move instead. The constraints' weights (10, 3, 10; the paper's "
    "shares are 5, 0.5, 0.5) were chosen on trials of 800 steps, on these pictures. Where all 3D labels are known the "
    "constraints gain nothing."
)

PAPER = Paper(
    "s1",
    "S1: Spurr et al., Weakly Supervised 3D Hand Pose Estimation via Biomechanical Constraints, ECCV 2020",
    (
        Table(
            "Table 2: effect of weak supervision",
            (
                Metric("2D", "px", "validation", "image"),
                Metric("Z", "mm", "validation", "depth_root"),
                Metric("3D", "mm", "validation", "joints_root"),
            ),
            (
                Row("3D_A + 3D_B", _TRAININGS["3D_A + 3D_B"], {"2D": 3.72, "Z": 5.69, "3D": 8.78}),
                Row("3D_A + 3D_B + BMC", _TRAININGS["3D_A + 3D_B + BMC"], {"2D": 3.70, "Z": 5.44, "3D": 8.60}),
                Row("3D_A", _TRAININGS["3D_A"], {"2D": 12.35, "Z": 20.02, "3D": 30.82}),
                Row("3D_A + 2D_B", _TRAININGS["3D_A + 2D_B"], {"2D": 3.80, "Z": 17.02, "3D": 20.92}),
                Row("3D_A + 2D_B + BMC", _TRAININGS["3D_A + 2D_B + BMC"], {"2D": 3.79, "Z": 9.97, "3D": 13.78}),
            ),
            _GENERATED_NOTE,
        ),
        Table(
            "Table 3: effect of the root depth's refinement",
            (
                *_epe("validation"),
                Metric("root's depth, mean", "mm", "validation", "root_depth"),
                Metric("root's depth, median", "mm", "validation", "root_depth.median"),
            ),
            (
                _ablation("3D_B without refinement", "without refinement", 11.20, 8.62, 0.95),
                _ablation("3D_B", "with refinement", 9.76, 8.14, 0.97),
            ),
            "With all labels of B. The refinement changes the root's depth alone, of which the paper has no errors; "
            "near the camera's axis, as here, it hardly moves joints relative to the root.",
        ),
        Table(
            "Table 4: effect of the constraints' parts",
            _epe("validation"),
            (
                _ablation("3D_A + 2D_B", "3D_A + 2D_B", 20.92, 16.93, 0.81),
                _ablation("3D_A + 2D_B + bones", "+ bone lengths", 17.58, 14.81, 0.88),
                _ablation("3D_A + 2D_B + bones, palm", "+ root bones", 15.48, 13.49, 0.91),
                _ablation("3D_A + 2D_B + BMC", "+ angles", 13.78, 11.61, 0.92),
                _ablation("3D_A + 3D_B", "3D_A + 3D_B", 8.78, 7.25, 0.98),
            ),
        ),
        Table(
            "Table 5: effect of the angles' dependence",
            _epe("validation"),
            (
                _ablation("3D_A + 2D_B + BMC, box", "independent", 15.57, 13.45, 0.91),
                _ablation("3D_A + 2D_B + BMC", "dependent", 13.78, 11.61, 0.92),
            ),
        ),
        Table(
            "Table 6: effect of the limits",
            _epe("validation"),
            (
                _ablation("3D_A + 2D_B + BMC, limits of A", "approximated (learned from A)", 16.14, 13.93, 0.90),
                _ablation("3D_A + 2D_B + BMC", "computed (learned from B)", 13.78, 11.61, 0.92),
            ),
        ),
        Table(
            "Table 7: test splits",
            (
                Metric("PA-EPE", "mm", "test", "joints_pa_official"),
                Metric("AUC 0-50", "", "test", "joints_pa_official_auc_0_50_mm", 3),
                Metric("PA-EPE, third domain", "mm", "third", "joints_pa_official"),
                Metric("EPE, third domain", "mm", "third", "joints_root"),
            ),
            (
                _aligned("3D_A + 3D_B", "3D_A + 3D_B", 9.0, 0.82),
                _aligned("3D_A", "3D_A", 16.0, 0.69),
                _aligned("3D_A + 2D_B", "+ 2D_B", 12.6, 0.75),
                _aligned("3D_A + 2D_B + BMC", "+ BMC", 11.3, 0.78),
            ),
            "Aligned as by FreiHAND's script; the paper prints centimetres under the heading mm. Its HO-3D was trained "
            "on, the third domain C (preset `held`) was not, so the paper has no figures to set beside it.",
        ),
        Table(
            "Table 8: a domain that was not trained on",
            (Metric("AUC 20-50, aligned", "", "third", "joints_pa_auc_20_50_mm", 3),),
            (
                _row("3D_A"),
                _row("3D_A + 2D_B", "+ 2D_B"),
                Row("+ BMC", _TRAININGS["3D_A + 2D_B + BMC"], {"AUC 20-50, aligned": 0.82}, "3D_A + 2D_B + BMC"),
            ),
            "C stands for Dexter+Object, of which the paper compares five fingertips; here it is all joints.",
        ),
        Table(
            "Figure 5: share of 3D labels",
            (
                Metric("AUC 0-50, aligned", "", "test", "joints_pa_official_auc_0_50_mm", 3),
                Metric("PA-EPE", "mm", "test", "joints_pa_official"),
                Metric("EPE", "mm", "test", "joints_root"),
            ),
            (
                *(
                    _row(f"3D of {share:.1%} of B{constraints}", f"{share:.1%}{constraints}")
                    for share in SHARES
                    for constraints in ("", " + BMC")
                ),
                _row("3D_B", "100.0%"),
                _row("3D_B + BMC", "100.0% + BMC"),
            ),
            "3D labels of a part of B are half of each batch, 2D labels of all of B the other half. The paper has "
            "curves alone: few labels with the constraints do as much as about twice as many without.",
        ),
        Table(
            "Real photographs",
            (
                Metric("2D", "px", "photographs", "image"),
                Metric("Z", "mm", "photographs", "depth_root"),
                Metric("EPE", "mm", "photographs", "joints_root"),
                Metric("PA-EPE", "mm", "photographs", "joints_pa"),
                Metric("bones outside limits", "%", "photographs", "implausible_bones", 1),
                Metric("angles outside limits", "%", "photographs", "implausible_angles", 1),
            ),
            (
                Row(
                    "generated pictures only", _photographs(weak=False), training="photographs, generated pictures only"
                ),
                Row("+ 2D of photographs", _photographs(weak=True), training="photographs, 2D"),
                Row(
                    "+ bone lengths",
                    _photographs(weak=True, constraints=("bones",)),
                    training="photographs, 2D + bones",
                ),
                Row(
                    "+ root bones",
                    _photographs(weak=True, constraints=("bones", "palm")),
                    training="photographs, 2D + bones, palm",
                ),
                Row("+ angles", _photographs(weak=True, constraints=_CONSTRAINTS), training="photographs, 2D + BMC"),
            ),
            "What the paper is for, on photographs of people. Depth is learned from generated pictures (preset "
            "`central`), 2D joints from photographs that another network labelled; limits are the package's. "
            "Tested on photographs of another person with joints in space, used for nothing else.",
        ),
    ),
)
