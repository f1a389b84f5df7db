"""What parts of the shipped hand network's training are worth: an ablation on generated pictures."""

from benchmarks.tables import Metric, Paper, Row, Table, Trial

SEEDS = (0, 1, 2)
_TEST = "knuckle eval {{checkpoint}} --protocol own --root {{data}}/{name} --crops truth"


def _synth(name: str, images: int, size: int, seed: int, preset: str = "crop") -> str:
    return f"knuckle synth {{data}}/{name} --images {images} --preset {preset} --size {size} --seed {seed}"


def _trial(options: str, test_set: str, shifted_set: str, draw: tuple[str, ...], training: str, length: str) -> Trial:
    train = f"knuckle train shipped --data {{data}}/{training} --out {{run}} {length} --seed {{seed}} {options}".strip()
    evaluations = {"held out": _TEST.format(name=test_set), "gestures": _TEST.format(name=shifted_set)}
    return Trial(draw, train, evaluations, SEEDS)


def _row(name: str, options: str = "", quarter: bool = False) -> Row:
    """One row, under both presets; quarter: trained on a quarter of the pictures."""
    # The sets for training and for testing are drawn with different seeds, so that no picture is in both.
    tiny_set, tiny_images = ("tiny-crops-1000", 1000) if quarter else ("tiny-crops-4000", 4000)
    tiny = _trial(
        options,
        "tiny-test",
        "tiny-test-gestures",
        (
            _synth(tiny_set, tiny_images, 144, 1),
            _synth("tiny-test", 500, 144, 1001),
            _synth("tiny-test-gestures", 500, 144, 1002, "gesture"),
        ),
        tiny_set,
        "--steps 300 --batch 64 --set crop.size=64 --set crop.patch=100",
    )
    full_set, full_images = ("full-crops-25000", 25000) if quarter else ("full-crops-100000", 100000)
    full = _trial(
        options,
        "full-test",
        "full-test-gestures",
        (
            _synth(full_set, full_images, 192, 1),
            _synth("full-test", 4000, 192, 1001),
            _synth("full-test-gestures", 4000, 192, 1002, "gesture"),
        ),
        full_set,
        "--steps 30000 --batch 256 --device cuda",
    )
    return Row(name, {"tiny": tiny, "full": full})


PAPER = Paper(
    "shipped",
    "The shipped hand network",
    (
        Table(
            "Parts of its training",
            (
                Metric("PA-MPJPE, held out", "mm", "held out", "joints_pa"),
                Metric("2D, held out", "px", "held out", "image"),
                Metric("PA-MPJPE, gestures", "mm", "gestures", "joints_pa"),
                Metric("2D, gestures", "px", "gestures", "image"),
            ),
            (
                _row("base"),
                _row("without amplitude mixing", "--set augment.mix_amplitude=0"),
                _row("without occluders", "--set augment.cover=0"),
                # Whether more pictures or more augmentation is what a small budget should go to.
                _row("a quarter of the pictures", quarter=True),
            ),
            "Trained on nothing but pictures of the preset `crop`, for the same number of steps in every row; tested "
            "with crops from the truth, on held-out pictures of that preset and of `gesture`, which has other poses.",
        ),
    ),
)
