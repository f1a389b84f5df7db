"""Sizes, examples and stages of the object-aware system, `knuckle.systems.object_aware`.

What the paper prints is the default here: crops of 256 pixels, maps of 32 cells, codes of 256, Adam at 1e-5 with tenths
of it, and four stages: masks, heatmaps, the lift into space from true heatmaps, all together. Weights of the losses,
the margin, and the last stage's length it leaves open.
"""

import math
from dataclasses import dataclass, field, replace

from knuckle.image.augment import AugmentConfig
from knuckle.networks.object_aware import ObjectAwareSizes
from knuckle.networks.zimmermann import JointNetwork
from knuckle.systems.crops import CropConfig
from knuckle.systems.system import Stage

# What each part learns from.
_PARTS = {
    "masks": ("mask", "visible", "kl_mask"),
    "joints": ("maps",),
    "lift": ("canonical", "viewpoint", "kl_pose", "triplet", "pair", "cluster", "reseed"),
}
_MASKS = {"mask": 1.0, "visible": 0.3, "kl_mask": 1e-4}
_MAPS = {"maps": 1.0}
# The metric terms are squared distances of codes with 256 coordinates.
_LIFT = {
    "canonical": 1.0,
    "viewpoint": 1.0,
    "kl_pose": 1e-5,
    "triplet": 0.01,
    "pair": 1e-5,
    "cluster": 1e-5,
    "reseed": 1e-5,
}
_STAGES = (
    Stage(
        "masks",
        steps=120000,
        batch=8,
        rates={"masks.": 1e-5},
        losses=_MASKS,
        optimiser="adam",
        schedule="step",
        milestones=(0.5, 0.75),
        warmup=0.0,
    ),
    Stage(
        "heatmaps",
        steps=30000,
        batch=8,
        rates={"joints.": 1e-4},
        losses=_MAPS,
        optimiser="adam",
        schedule="step",
        milestones=(1 / 3, 2 / 3),
        warmup=0.0,
    ),
    Stage(
        "lifting",
        steps=150000,
        batch=16,
        rates={"lift.": 1e-5},
        losses=_LIFT,
        optimiser="adam",
        schedule="step",
        milestones=(0.4,),
        warmup=0.0,
    ),
    Stage(
        "together",
        steps=30000,
        batch=8,
        rates={"": 1e-6},
        losses=_MASKS | _MAPS | _LIFT,
        optimiser="adam",
        schedule="constant",
        warmup=0.0,
    ),
)
# Room around the hand: to find it is the mask's work.
_CROP = CropConfig(
    size=256,
    patch=400,
    orientation="picture",
    margin=2.0,
    turn=0.3,
    first_pass=1.5,
    labels=("mask_complete", "mask_visible", "object_mask", "object_category", "visibility"),
)


@dataclass(frozen=True)
class ObjectAwareConfig:
    """The network, how its examples are made, and how it is trained.

    Attributes:
        factor, norm, joints, mask_latent, pose_latent, bypass, clusters: see
            `knuckle.networks.object_aware.ObjectAwareSizes`; codes of 0 and no clusters are Zimmermann and Brox's.
        variational: whether codes are drawn from their distributions in training, and these kept near normal.
        categories: of held objects, as labels name them.
        balance: as many examples of each category in a batch.
        hidden: true heatmaps of joints that are hidden are empty, as in the source's lift from true heatmaps.
        pixel_noise: standard deviation of joints in true heatmaps, in training; pixels of a square of 256.
        square_noise: of the squares around true joints, in training; in their sides.
        sigma: pixels of a square of 256 at which a heatmap has fallen to 1 / e.
        only: names of the stages that are trained, with commas; all if empty. Parts that no stage trains are not built.
            With "masks,heatmaps" joints are found in the picture alone; with "lifting" true joints, or another
            network's, are lifted into space.
    """

    factor: float = 1.0
    norm: bool = False
    joints: JointNetwork = "posenet"
    mask_latent: int = 256
    pose_latent: int = 256
    bypass: bool = False
    clusters: int = 5
    variational: bool = True
    categories: tuple[str, ...] = ("cylinder", "bar", "cube", "sphere")
    balance: bool = True
    hidden: bool = True
    pixel_noise: float = 2.5
    square_noise: float = 0.05
    sigma: float = 25.0
    only: str = ""
    crop: CropConfig = _CROP
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    stages: tuple[Stage, ...] = _STAGES

    def __post_init__(self) -> None:
        if self.bypass and not self.pose_latent:
            raise ValueError("bypass must be off where there is no code to pass by, but pose_latent is 0")
        if min(self.mask_latent, self.pose_latent, self.clusters) < 0 or self.factor <= 0 or self.sigma <= 0:
            raise ValueError("mask_latent, pose_latent and clusters must be 0 or more, factor and sigma above 0")
        if self.balance and "object_category" not in self.crop.labels:
            raise ValueError(f"crop.labels must have object_category to balance batches but got {self.crop.labels}")
        if len(self.categories) < 1 or len(set(self.categories)) < len(self.categories):
            raise ValueError(f"categories must be names, each once, but got {self.categories}")
        if unknown := set(self.wanted) - {stage.name for stage in self.stages}:
            names = ", ".join(stage.name for stage in self.stages)
            raise ValueError(f"only must name stages of {names} but got {', '.join(sorted(unknown))}")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The stages of `only`."""
        return tuple(name.strip() for name in self.only.split(",") if name.strip())

    @property
    def parts(self) -> tuple[str, ...]:
        """Of the network that stages train: masks, joints, lift."""
        every = [parts_of(stage) for stage in self.stages if not self.wanted or stage.name in self.wanted]
        return tuple(part for part in _PARTS if any(part in parts for parts in every))

    @property
    def sizes(self) -> ObjectAwareSizes:
        """What is built."""
        return ObjectAwareSizes(
            self.parts,
            self.crop.size,
            self.factor,
            self.norm,
            self.joints,
            self.mask_latent,
            self.pose_latent,
            self.bypass,
            self.clusters,
            len(self.categories),
        )


def small_config() -> ObjectAwareConfig:
    """Crops of 128 pixels, an eighth of the widths with batch normalisation, short stages of AdamW."""
    shared = {"optimiser": "adamw", "schedule": "cosine", "batch": 32}
    stages = (
        replace(_STAGES[0], steps=600, rates={"masks.": 2e-3}, warmup=0.05, **shared),
        replace(_STAGES[1], steps=600, rates={"joints.": 2e-3}, warmup=0.05, **shared),
        replace(_STAGES[2], steps=1500, rates={"lift.": 1e-3}, warmup=0.05, **(shared | {"batch": 64})),
        replace(_STAGES[3], steps=200, rates={"": 3e-4}, warmup=0.05, **shared),
    )
    crop = replace(_CROP, size=128, patch=math.ceil(128 * _CROP.patch_reach), margin=1.6, hands="right")
    return ObjectAwareConfig(factor=0.125, norm=True, crop=crop, stages=stages)


def parts_of(stage: Stage) -> tuple[str, ...]:
    """The parts of the network that a stage computes: those it weighs a loss of."""
    return tuple(part for part, names in _PARTS.items() if any(stage.losses.get(name) for name in names))
