"""Gao et al., "Variational Object-aware 3D Hand Pose from a Single RGB Image", RA-L 2019.

HOP's place is taken by pictures of held things that `knuckle synth` draws, with masks of the whole hand and categories
of the things. RHD and STB are the user's own folders, in the full setting alone; so can HOP be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tables import Metric, Paper, Row, Table, Trial

# The preset whose pictures stand for HOP's.
HELD = "hop"


@dataclass(frozen=True)
class _Scale:
    """Sizes under one preset: numbers of pictures, their side in pixels, and what `knuckle train` is told.

    Attributes:
        system: the name of the paper's network and schedule at that size.
        images, images_test: to learn from, and to test on.
        side, side_test: pixels along one side of the pictures.
        learning: what all trainings are told.
        masks, maps, lifting: steps of these stages where a row trains them; 0 for the system's own.
        adapted: of the maps, in rows that begin with a network of them.
        last: of the last stage, all together.
        start: of the network of maps that rows of joints in the picture begin with; 0 for none.
    """

    name: str
    system: str
    images: int
    images_test: int
    side: int
    side_test: int
    learning: str
    masks: int
    maps: int
    lifting: int
    adapted: int
    last: int
    start: int


_SCALES = (
    _Scale(
        name="tiny",
        system="object-aware-small",
        images=2500,
        images_test=300,
        side=128,
        side_test=256,
        # Crops as exact as the test's, and little augmentation of how they look.
        learning=(
            "--set stages.0.batch=16 --set stages.1.batch=16 --set stages.2.batch=32 --set stages.3.batch=16 "
            "--set crop.first_pass_share=0 --set crop.patch=160 --set augment.cover=0 --set augment.blur=0 "
            "--set augment.noise=0 --set augment.mix_amplitude=0 --set augment.shade=0 --set augment.jpeg=0"
        ),
        masks=900,
        maps=0,
        lifting=800,
        adapted=150,
        last=100,
        start=2000,
    ),
    _Scale(
        name="full",
        system="object-aware",
        images=11020,
        images_test=800,
        side=320,
        side_test=320,
        learning="--device cuda --workers 8",
        masks=0,
        maps=0,
        lifting=0,
        adapted=0,
        last=0,
        start=0,
    ),
)
_FULL = _SCALES[1]
# Rows whose order is claimed; and the others.
SEEDS, SEED = (0, 1, 2), (0,)
_TEST = "knuckle eval {checkpoint} --protocol own-hop --root ROOT --crops truth --resamples 0 "
# Numbers of the system's stages.
_STAGES = {"masks": 0, "heatmaps": 1, "lifting": 2, "together": 3}
_METRIC = ("triplet", "pair", "cluster", "reseed")
CLUSTERS, LATENTS = (4, 7, 10), (16, 64, 1024)


def _folder(scale: _Scale, name: str) -> str:
    return f"{{data}}/s2-{scale.name}-{name}"


def _draw(scale: _Scale, name: str, images: int, side: int, seed: int) -> str:
    return f"knuckle synth {_folder(scale, name)} --images {images} --preset {HELD} --size {side} --seed {seed}"


def _drawn(scale: _Scale) -> tuple[str, ...]:
    # The test is drawn with another seed than what is trained on, so that no picture is in both.
    return (
        _draw(scale, "held", scale.images, scale.side, 51),
        _draw(scale, "held-test", scale.images_test, scale.side_test, 1051),
    )


def _words(*parts: str) -> str:
    return " ".join(" ".join(parts).split())


def _train(scale: _Scale, out: str, stages: Mapping[str, int], options: str, begin: str = "", data: str = "") -> str:
    """The command that trains some stages, for their number of steps or, where that is 0, the system's."""
    steps = " ".join(f"--set stages.{_STAGES[name]}.steps={count}" for name, count in stages.items() if count)
    only = f"--set only={','.join(stages)}"
    data = data or _folder(scale, "held")
    return _words(
        f"knuckle train {scale.system} --data {data} --out {out}", only, steps, scale.learning, options, begin
    )


def _started(scale: _Scale, network: str) -> tuple[tuple[str, ...], str]:
    """The training of heatmaps that rows of one network of joints begin with, and what tells them so."""
    if not scale.start:
        return (), ""
    out = _folder(scale, f"start-{network}")
    train = _train(scale, out, {"heatmaps": scale.start}, f"--set joints={network}")
    return (train,), f"--from-checkpoint {out}/step-{scale.start:07d}"


def _joints(network: str, options: str, seeds: Sequence[int]) -> dict[str, Trial]:
    """Trials of masks and joints in the picture."""
    trials = {}
    for scale in _SCALES:
        before, begin = _started(scale, network)
        maps = scale.adapted if begin else scale.maps
        stages = {"masks": scale.masks, "heatmaps": maps}
        train = _train(scale, "{run} --seed {seed}", stages, f"--set joints={network} {options}", begin)
        test = _TEST.replace("ROOT", _folder(scale, "held-test")) + "--hand network"
        few = tuple(seeds) if scale.name == "tiny" else SEED
        trials[scale.name] = Trial((*_drawn(scale), *before), train, {"picture": test}, few)
    return trials


def _weights(names: Sequence[str], stages: Sequence[str]) -> str:
    """Switches off the metric terms that are not named."""
    off = [name for name in _METRIC if name not in names]
    return " ".join(f"--set stages.{_STAGES[stage]}.losses.{name}=0" for stage in stages for name in off)


def _kind(name: str, stages: Sequence[str]) -> str:
    """What makes a variant of the pose's code: plain, variational, triplet, cluster, both."""
    terms = {"triplet": _METRIC[:2], "cluster": _METRIC[2:], "both": _METRIC}.get(name, ())
    clusters = "" if name in ("cluster", "both") else "--set clusters=0"
    return _words("--set pose_latent=0" if name == "plain" else "", clusters, _weights(terms, stages))


def _lifting(kind: str, options: str = "", seeds: Sequence[int] = SEED) -> dict[str, Trial]:
    """Trials of the lift from true heatmaps."""
    trials = {}
    for scale in _SCALES:
        options_of = f"{_kind(kind, ('lifting',))} {options}"
        train = _train(scale, "{run} --seed {seed}", {"lifting": scale.lifting}, options_of)
        test = _TEST.replace("ROOT", _folder(scale, "held-test")) + "--scale truth"
        few = tuple(seeds) if scale.name == "tiny" else SEED
        trials[scale.name] = Trial(_drawn(scale), train, {"space": test}, few)
    return trials


def _of_users(name: str, protocol: str, kind: str, options: str = "") -> dict[str, Trial]:
    """Trials of the lift on a set of the user's, in the full setting."""
    variable = name.upper()
    train = _train(
        _FULL,
        "{run} --seed {seed}",
        {"lifting": 0},
        f"{_kind(kind, ('lifting',))} {options}",
        data=f"{name}:${variable}",
    )
    test = f"knuckle eval {{checkpoint}} --protocol {protocol} --root ${variable} --crops truth --scale truth"
    return {"full": Trial((), train, {"space": test}, SEED, {variable: f"{variable}, as its authors published it"})}


def _whole(kind: str, masks: str = "", options: str = "", seeds: Sequence[int] = SEED) -> dict[str, Trial]:
    """Trials of the whole pipeline; those of one kind of mask begin with one network of masks and heatmaps."""
    trials = {}
    for scale in _SCALES:
        stages = {"masks": 0, "heatmaps": 0, "lifting": 0, "together": 0}
        before, begin = _drawn(scale), ""
        if scale.start:
            first, from_maps = _started(scale, "posenet")
            name = "whole-direct" if "mask_latent=0" in masks else "whole-still" if masks else "whole"
            out, steps = _folder(scale, name), scale.masks + scale.adapted
            parts = {"masks": scale.masks, "heatmaps": scale.adapted}
            before = (*before, *first, _train(scale, out, parts, masks, from_maps))
            begin = f"--from-checkpoint {out}/step-{steps:07d}"
            stages = {"lifting": scale.lifting, "together": scale.last}
        every = ("lifting", "together")
        train = _train(scale, "{run} --seed {seed}", stages, f"{_kind(kind, every)} {masks} {options}", begin)
        test = _TEST.replace("ROOT", _folder(scale, "held-test")) + "--scale truth"
        few = tuple(seeds) if scale.name == "tiny" else SEED
        trials[scale.name] = Trial(before, train, {"space": test}, few)
    return trials


_DIRECT = "--set mask_latent=0"
_STILL = "--set variational=false"
_HS = _joints("posenet", _DIRECT, SEEDS)
_OURS = _joints("posenet", "", SEEDS)
_PICTURE = (
    Metric("AUC 0-20 px", "", "picture", "image_auc_0_20_px", 3),
    Metric("EPE median", "px", "picture", "image.median"),
    Metric("EPE mean", "px", "picture", "image"),
)
_SPACE = (
    Metric("AUC 0-50 mm", "", "space", "joints_root_scale_auc_0_50_mm", 3),
    Metric("EPE median", "mm", "space", "joints_root_scale.median"),
    Metric("EPE mean", "mm", "space", "joints_root_scale"),
)
_CATEGORIES = {"cylinder": "cylinder", "slender": "bar", "cubical": "cube", "sphere": "sphere"}


def _masks_of(evaluation: str) -> tuple[Metric, ...]:
    return (
        Metric("mask IoU", "", evaluation, "mask_complete_iou", 3),
        Metric("mask IoU, hidden part", "", evaluation, "mask_hidden_iou", 3),
    )


def _category_of(evaluation: str) -> Metric:
    return Metric("category", "%", evaluation, "category_right", 1)


def _row(name: str, trials: Mapping[str, Trial], training: str, metrics: Sequence[Metric], *figures: float) -> Row:
    return Row(name, trials, {m.name: f for m, f in zip(metrics, figures, strict=False)}, training)


_BY_CATEGORY = tuple(Metric(name, "", "picture", f"image_auc_0_20_px_{key}", 3) for name, key in _CATEGORIES.items())
_TINY = _SCALES[0]
PAPER = Paper(
    "s2",
    "S2: Gao et al., Variational Object-aware 3D Hand Pose from a Single RGB Image, RA-L 2019",
    (
        Table(
            "Table I: joints in the picture",
            (*_PICTURE, *_masks_of("picture")),
            (
                _row("HS-PoseNet", _HS, "2D direct posenet", _PICTURE, 0.722, 4.285, 13.392),
                _row(
                    "HS-Hourglass",
                    _joints("hourglass", _DIRECT, SEED),
                    "2D direct hourglass",
                    _PICTURE,
                    0.741,
                    5.159,
                    10.709,
                ),
                _row("Our-PoseNet", _OURS, "2D variational posenet", _PICTURE, 0.754, 4.024, 10.707),
                _row(
                    "Our-Hourglass",
                    _joints("hourglass", "", SEED),
                    "2D variational hourglass",
                    _PICTURE,
                    0.775,
                    3.791,
                    8.496,
                ),
            ),
            f"Pictures of the preset `{HELD}` stand for HOP's. HS computes the mask of the whole hand without a code. "
            f"Errors are of all joints, hidden ones too, in pixels of pictures of {_TINY.side_test} (tiny) and "
            f"{_FULL.side_test}; the hidden part of a mask is what of the hand lies behind the held thing. In tiny all "
            f"rows of one network of heatmaps begin with {_TINY.start} steps of it on squares around true joints, and "
            f"adapt it for {_TINY.adapted} after {_TINY.masks} steps of masks.",
        ),
        Table(
            "Table II: joints in the picture by category",
            _BY_CATEGORY,
            (
                _row("HS-PoseNet", _HS, "2D direct posenet", _BY_CATEGORY, 0.694, 0.773, 0.767, 0.701),
                _row("Ours-PoseNet", _OURS, "2D variational posenet", _BY_CATEGORY, 0.743, 0.812, 0.828, 0.721),
            ),
            "AUC from 0 to 20 px, the mean over hands; the paper's caption says mm.",
        ),
        Table(
            "Table III: poses from true heatmaps",
            (*_SPACE, _category_of("space")),
            (
                _row("PosePrior", _lifting("plain", seeds=SEEDS), "lift plain", _SPACE, 0.534, 19.728, 30.860),
                _row("Ours, no metric term", _lifting("variational"), "lift variational", _SPACE),
                _row("Ours (triplet)", _lifting("triplet", seeds=SEEDS), "lift triplet", _SPACE, 0.597, 15.901, 27.326),
                _row("Ours (cluster)", _lifting("cluster", seeds=SEEDS), "lift cluster", _SPACE, 0.583, 16.741, 28.018),
                _row("Ours (both)", _lifting("both", seeds=SEEDS), "lift both", _SPACE),
                _row(
                    "Ours (both), code bypassed",
                    _lifting("both", "--set bypass=true"),
                    "lift both bypassed",
                    _SPACE,
                ),
                *(
                    _row(
                        f"Ours (cluster), K = {k}", _lifting("cluster", f"--set clusters={k}"), f"lift cluster {k}", ()
                    )
                    for k in CLUSTERS
                ),
                *(
                    _row(
                        f"Ours (both), code of {d}",
                        _lifting("both", f"--set pose_latent={d}"),
                        f"lift both latent {d}",
                        (),
                    )
                    for d in LATENTS
                ),
            ),
            "Heatmaps of true joints, empty for hidden ones; wrist and length of middle MCP to PIP are given. K is 5 "
            "where it is not named, and codes have 256 numbers. PosePrior ignores the object: its category is that of "
            "the nearest mean of its features. Bypassed is what the paper's published code does.",
        ),
        Table(
            "Table III: the same on other sets",
            _SPACE,
            (
                _row(
                    "RHD: PosePrior",
                    _of_users("rhd", "rhd-zimmermann", "plain"),
                    "rhd plain",
                    _SPACE,
                    0.555,
                    18.932,
                    28.804,
                ),
                _row(
                    "RHD: ours (cluster)",
                    _of_users("rhd", "rhd-zimmermann", "cluster", "--set clusters=7"),
                    "rhd cluster",
                    _SPACE,
                    0.587,
                    16.301,
                    27.569,
                ),
                _row(
                    "STB: PosePrior",
                    _of_users("stb", "stb-zimmermann", "plain"),
                    "stb plain",
                    _SPACE,
                    0.948,
                    9.543,
                    11.064,
                ),
                _row(
                    "STB: ours (cluster)",
                    _of_users("stb", "stb-zimmermann", "cluster", "--set clusters=10"),
                    "stb cluster",
                    _SPACE,
                    0.965,
                ),
            ),
            "In the full setting, with RHD or STB as the folder of the set. The paper's GANeratedHands row is of "
            "canonical poses in no unit, and is left out; `--data ganerated:ROOT` and `--data hop:ROOT` train on them.",
        ),
        Table(
            "Table IV: the whole pipeline",
            (*_SPACE, *_masks_of("space"), _category_of("space")),
            (
                _row(
                    "Zimmermann et al.",
                    _whole("plain", _DIRECT, seeds=SEEDS),
                    "whole plain",
                    _SPACE,
                    0.543,
                    32.003,
                    45.581,
                ),
                _row(
                    "Ours w/o variational",
                    _whole("both", _STILL),
                    "whole without variation",
                    _SPACE,
                    0.564,
                    30.193,
                    44.466,
                ),
                _row("Ours (cluster)", _whole("cluster", seeds=SEEDS), "whole cluster", _SPACE, 0.669, 23.280, 36.052),
                _row("Ours (triplet)", _whole("triplet", seeds=SEEDS), "whole triplet", _SPACE, 0.580, 29.485, 41.012),
                _row("Ours (both)", _whole("both"), "whole both", _SPACE),
            ),
            "From the picture to the pose in space. In tiny rows of one kind of mask begin with one network of masks "
            f"and heatmaps, then learn the lift for {_TINY.lifting} steps and all together for {_TINY.last}.",
        ),
    ),
)
