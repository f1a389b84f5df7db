"""What kinds of pictures there are to draw, as plain settings."""

from dataclasses import dataclass, field

from knuckle.synth.poses import PoseMix


@dataclass(frozen=True)
class Preset:
    """Settings of a kind of picture.

    Attributes:
        size: pixels along each side where none is asked for.
        hand_count: weights of drawing 0, 1, 2, 3 hands.
        framing: "crop": the first hand fills a crop; "frame": hands anywhere in a whole picture.
        margin: a crop's side over the longer side of the hand's box, least and greatest.
        shift: standard deviation of the crop's centre, in sides of the hand's box.
        roll: standard deviation (radians) of the fingers' direction round upright; turned: share of pictures with
            any roll at all instead.
        sleeved, held, occluded, second: shares of pictures with a sleeve, a held thing, something in front, and (in
            crops) another hand beside.
        body: share of pictures in which the person the first hand belongs to is drawn too.
        child: share of children's hands.
        poses: how often which kind of pose.
    """

    size: int = 256
    hand_count: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.0)
    framing: str = "crop"
    margin: tuple[float, float] = (1.3, 2.2)
    shift: float = 0.1
    roll: float = 0.35
    turned: float = 0.12
    sleeved: float = 0.5
    held: float = 0.2
    occluded: float = 0.18
    second: float = 0.1
    body: float = 0.3
    child: float = 0.15
    poses: PoseMix = field(default_factory=PoseMix)


PRESETS: dict[str, Preset] = {
    # One hand, roughly upright, for a network that is given crops.
    "crop": Preset(),
    # The same with more of what people show with their fingers, for a network that mistakes one finger for another.
    "gesture": Preset(
        poses=PoseMix(bank=0.15, swap=0.1, gesture=0.6, touch=0.15, coupled=0.0, blend=0.0), held=0.05, child=0.1
    ),
    # The same without anything in the way, and nearly upright: for a first training or a test.
    "plain": Preset(margin=(1.4, 1.8), shift=0.04, turned=0.0, roll=0.2, held=0.0, occluded=0.0, second=0.0, body=0.0),
    # Whole pictures with none to three hands, for a detector.
    "detector": Preset(
        hand_count=(0.15, 0.45, 0.3, 0.1),
        framing="frame",
        roll=0.7,
        turned=0.3,
        held=0.15,
        occluded=0.1,
        second=0.0,
        body=0.6,
    ),
}
