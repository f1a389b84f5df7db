"""The kinds of pictures that can be rendered, as plain settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from knuckle.synth import sweep
from knuckle.synth.bank import HandlingPlan
from knuckle.synth.poses import PoseMix
from knuckle.synth.realism import NO_REALISM, Realism


@dataclass(frozen=True)
class Preset:
    """Settings of a kind of picture.

    Attributes:
        size: default number of pixels along each side.
        hand_count: relative frequencies of 0, 1, 2, 3 hands.
        framing: "crop": the first hand fills a crop; "frame": hands anywhere in a whole picture; "clip": a video of
            whole pictures; "handling": hands that take and hold objects.
        clip_frames: number of frames of each clip.
        off_axis: how far from the middle of its picture, in halves of it, a crop's hand may be: hands that look alike
            there and here differ in depth, which a network that is not told the place cannot know.
        margin: minimum and maximum of a crop's side over the longer side of the hand's box.
        shift_std: standard deviation of the crop's centre, in sides of the hand's box.
        roll_std: standard deviation of the fingers' direction about upright, radians.
        any_roll: probability that the roll is uniform instead.
        sleeved, held, occluded, second_hand: probabilities of a sleeve, a held object, an occluder, and (in crops) a
            second hand.
        touching: probability that a second hand, where there is one, is the same person's and touches the first.
        frame_both: a crop holds all of its hands instead of the first.
        min_visible: fraction of the first hand of a crop that must not be occluded.
        person: probability that the person of the first hand is rendered too.
        bodies: whether people have whole bodies, with arms that reach their hands; else coarse solids.
        situations: probability that a picture is of people who do something with their hands; see situations.py.
            second_person: that there are two of them.
        child: probability of a child's hand.
        poses: relative frequencies of the kinds of pose.
        named_poses: what the names of the bank's poses that are used begin with; "" for the whole bank.
        people: number of different people, each with a shape and a skin; 0: no two hands are the same person's.
        views: names of views.VIEWS that are used; all of them if empty.
        view_spread: factor on their spread.
        smooth_skin: skin without detail, and no shadows of what is outside the picture.
        realism: which effects of photographs there are.
        sweep: of crops: "positions": the camera goes through positions on a sphere; "poses": the hand goes through a
            bank of poses with fingers swapped between them. See sweep.py. "": both are random.
        images: number of pictures of the whole set, if it has one.
        handling: what is in the sequences, of the framing of that name.
    """

    size: int = 256
    hand_count: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.0)
    framing: str = "crop"
    clip_frames: int = 120
    off_axis: float = 0.8
    margin: tuple[float, float] = (1.3, 2.2)
    shift_std: float = 0.1
    roll_std: float = 0.35
    any_roll: float = 0.12
    sleeved: float = 0.5
    held: float = 0.2
    occluded: float = 0.18
    second_hand: float = 0.1
    touching: float = 0.35
    frame_both: bool = False
    min_visible: float = 0.5
    person: float = 0.3
    bodies: bool = False
    situations: float = 0.0
    second_person: float = 0.0
    child: float = 0.15
    poses: PoseMix = field(default_factory=PoseMix)
    named_poses: str | tuple[str, ...] = ""
    people: int = 0
    views: tuple[str, ...] = ()
    view_spread: float = 1.0
    smooth_skin: bool = False
    realism: Realism = field(default_factory=Realism)
    sweep: Literal["", "positions", "poses"] = ""
    images: int | None = None
    handling: HandlingPlan | None = None


_CROP = Preset(bodies=True, situations=0.08)
_PLAIN = Preset(
    margin=(1.4, 1.8),
    shift_std=0.04,
    any_roll=0.0,
    roll_std=0.2,
    held=0.0,
    occluded=0.0,
    second_hand=0.0,
    person=0.0,
)
# From the palm or the back, in the middle of the camera's picture: what a small network learns in minutes.
_FRONTAL = replace(_PLAIN, views=("palm", "back"), view_spread=0.7, off_axis=0.1)
# Bare hands of adults, as S4's two sets have them: rendered, and not made to look like photographs.
_BARE = replace(_PLAIN, off_axis=0.1, roll_std=0.0, sleeved=0.0, child=0.0, realism=NO_REALISM)

PRESETS: dict[str, Preset] = {
    # One hand, roughly upright, for a network that is given crops.
    "crop": _CROP,
    # The same in the middle of the camera's picture, for a network that is not told where in the picture its crop lies.
    "central": replace(_CROP, off_axis=0.1),
    # As `crop` with more finger gestures, for a network that confuses fingers.
    "gesture": replace(
        _CROP, poses=PoseMix(bank=0.15, swap=0.1, gesture=0.6, touch=0.15, coupled=0.0, blend=0.0), held=0.05, child=0.1
    ),
    # Without occluders, and nearly upright: for a first training or a test.
    "plain": _PLAIN,
    "frontal": _FRONTAL,
    # As a simple synthetic set is beside real pictures: a few people's bare hands, smooth, and open or half closed.
    # What is learned from it alone carries over to `frontal` in part.
    "bare": replace(
        _FRONTAL,
        margin=(1.4, 1.9),
        shift_std=0.05,
        any_roll=0.12,
        roll_std=0.35,
        sleeved=0.0,
        child=0.0,
        poses=PoseMix(bank=0.6, swap=0.4, gesture=0.0, touch=0.0, coupled=0.0, blend=0.0, noise=0.15),
        named_poses=("flat", "spread", "relaxed", "half_closed", "cup", "vulcan", "rest_on", "grasp_mouse"),
        people=12,
        smooth_skin=True,
        realism=NO_REALISM,
    ),
    # Hands that hold something, mostly seen by their owner: other poses, views and occlusions than `crop` has.
    "held": Preset(
        bodies=True,
        roll_std=0.6,
        any_roll=0.3,
        held=0.95,
        occluded=0.25,
        second_hand=0.0,
        poses=PoseMix(bank=0.5, swap=0.25, gesture=0.0, touch=0.05, coupled=0.0, blend=0.2),
        named_poses="grasp",
        views=("back", "egocentric_back", "egocentric_palm", "thumb_side", "little_side"),
    ),
    # The two hands of a person, which touch: clasped, interlaced, one on the other, a finger in a palm, and so on.
    "two-hands": Preset(
        margin=(1.15, 1.9),
        roll_std=0.8,
        any_roll=0.3,
        held=0.0,
        second_hand=1.0,
        touching=1.0,
        frame_both=True,
        min_visible=0.2,
    ),
    # S4's AngRender: upright hands from every direction but below, 32 at each of 2,232 positions of the camera.
    "angrender": replace(_BARE, sweep="positions", images=sweep.POSITIONS * sweep.PER_POSITION),
    # S4's ManoRender: 895 poses with their fingers swapped, 64 views of each.
    "manorender": replace(_BARE, sweep="poses", images=sweep.POSES * sweep.PER_POSE),
    # Hands that take objects and hold them, in sequences of two seconds, for networks that find an object's box.
    "grasp": Preset(framing="handling", roll_std=0.7, held=0.0, occluded=0.1, handling=HandlingPlan()),
    # HOP as S2 describes it: ten subjects, thirty objects of four categories, 600 backgrounds and sequences.
    "hop": Preset(
        size=320,
        framing="handling",
        roll_std=0.7,
        held=0.0,
        occluded=0.0,
        sleeved=0.4,
        child=0.0,
        images=11820,
        handling=HandlingPlan(
            frames=20,
            sequences=600,
            frames_per_second=10.0,
            share=(0.4, 0.75),
            hop=True,
            backgrounds=600,
            test_images=800,
        ),
    ),
    # Videos of four seconds at 30 frames a second, one after the other: one or two hands that move before a camera that
    # moves, cross, and leave the picture, for tests of tracking.
    "motion": Preset(size=480, framing="clip", held=0.0, occluded=0.0, second_hand=0.0, person=0.4, child=0.1),
    # Whole pictures with zero to three hands, for a detector.
    "detector": Preset(
        hand_count=(0.15, 0.45, 0.3, 0.1),
        framing="frame",
        roll_std=0.7,
        any_roll=0.3,
        held=0.15,
        occluded=0.1,
        second_hand=0.0,
        person=0.6,
        bodies=True,
        situations=0.4,
        second_person=0.1,
    ),
    # Whole pictures of people who do something with their hands.
    "people": Preset(
        framing="frame", held=0.1, occluded=0.03, bodies=True, person=1.0, situations=1.0, second_person=0.15
    ),
}

_ONLY_BANK = PoseMix(gesture=0.0, touch=0.0, coupled=0.0, blend=0.0)
_ONLY_LIMITS = PoseMix(bank=0.0, swap=0.0, gesture=0.0, touch=0.0, coupled=0.0, blend=0.0, uniform=1.0)

WITHOUT: dict[str, Callable[[Preset], Preset]] = {
    "people": lambda preset: replace(preset, person=0.0, bodies=False, situations=0.0),
    "random-poses": lambda preset: replace(preset, poses=_ONLY_BANK),
    "poses": lambda preset: replace(preset, poses=_ONLY_LIMITS),
    "pairs": lambda preset: replace(preset, touching=0.0),
    "soft-skin": lambda preset: replace(preset, realism=replace(preset.realism, soft_skin=False)),
    "folds": lambda preset: replace(preset, realism=replace(preset.realism, folds=False)),
    "contact-shadows": lambda preset: replace(preset, realism=replace(preset.realism, contact_shadows=False)),
    "mixed-light": lambda preset: replace(preset, realism=replace(preset.realism, mixed_light=False)),
    "lens": lambda preset: replace(preset, realism=replace(preset.realism, lens=False)),
    "sensor": lambda preset: replace(preset, realism=replace(preset.realism, sensor=False)),
    "realism": lambda preset: replace(preset, realism=NO_REALISM),
}
"""What a preset can be drawn without, for ablations: `knuckle synth --without NAME`."""


def preset_without(name: str, without: Sequence[str]) -> Preset:
    """A preset with some of its parts left out.

    Args:
        name: a name of PRESETS.
        without: names of WITHOUT.

    Raises:
        ValueError: a name is unknown.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)} but got {name!r}")
    preset = PRESETS[name]
    for part in without:
        if part not in WITHOUT:
            raise ValueError(f"without must name parts among {', '.join(WITHOUT)} but got {part!r}")
        preset = WITHOUT[part](preset)
    return preset
