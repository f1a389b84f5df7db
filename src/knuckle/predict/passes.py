"""Passes of a hand network over crops of a picture: run, refine the crop, average."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.camera import Camera
from knuckle.image.cut import apply_affine, invert_affine
from knuckle.predict.config import PredictorConfig
from knuckle.predict.contract import CropRule
from knuckle.predict.crop import Square, square_of_joints
from knuckle.predict.estimate import CropEstimate
from knuckle.predict.masks import masks_in_picture
from knuckle.predict.network import HandNetwork
from knuckle.predict.place import focal_length
from knuckle.skeleton import MIRRORED_BOX_CORNERS


class KnownHand(NamedTuple):
    """What a network can be told of a hand.

    Attributes:
        side: of the hand in the picture.
        uv: (21, 2) pixels of the picture, NaN for joints that are not known.
        points: (29, 2) likewise, the true joints and corners of the object's box, all of them; None where not known.
    """

    side: Literal["left", "right"]
    uv: Float[np.ndarray, "21 2"]
    points: Float[np.ndarray, "29 2"] | None = None


class CropPasses:
    """Runs a hand network on crops of pictures. Thread-safe and stateless.

    Args:
        network: see `HandNetwork`.
        config: for the bounds on the change between two passes.
    """

    def __init__(self, network: HandNetwork, config: PredictorConfig) -> None:
        self._network = network
        self._config = config
        self.contract = network.contract
        # A Camera for every crop is made only where the network needs it: it takes longer than the rest of this class.
        self._with_cameras = self.contract.in_space or "K" in self.contract.inputs

    @property
    def rule(self) -> CropRule:
        """How the input is cropped."""
        return self.contract.crop

    def run(
        self,
        picture: np.ndarray,
        camera: Camera,
        crops: Sequence[tuple[Square, bool]],
        known: Sequence[KnownHand] | None = None,
    ) -> list[CropEstimate]:
        """One pass through each crop.

        Args:
            picture: (h, w, 3) uint8 RGB.
            camera: that took it.
            crops: squares of the picture, and whether to mirror them.
            known: of each hand, for a contract that asks for its side, its joints or true points.
        """
        if not crops:
            return []
        size = self.rule.size
        affines = [square.affine(size, mirrored) for square, mirrored in crops]
        cameras: list[Camera] = []
        if self._with_cameras:
            # Without its warp: crops are relative to this picture, not to one that it may have been cropped from.
            base = Camera(camera.K)
            cameras = [
                base.crop_around(square.centre, square.side, (size, size), rotation=-square.angle, mirror=mirrored)
                for square, mirrored in crops
            ]
        outputs = self._network(
            picture,
            affines,
            np.stack([crop.K for crop in cameras]) if "K" in self.contract.inputs else None,
            np.stack([square.box for square, _ in crops]) if "box" in self.contract.inputs else None,
            **self._told(affines, crops, known),
        )
        return [
            replace(
                self._space_estimate(each, camera, cameras[i], *crops[i])
                if self.contract.in_space
                else self._pixel_estimate(each, affines[i], *crops[i]),
                masks=masks_in_picture(each, affines[i], size, (picture.shape[1], picture.shape[0])),
            )
            for i, each in enumerate(_rows(outputs, len(crops)))
        ]

    def check_sees(self) -> None:
        """Whether the network can be run on a picture alone.

        Raises:
            ValueError: it takes true points in place of pictures.
        """
        if "points" in self.contract.inputs:
            raise ValueError(
                f"points must be given to {self.contract.system!r}, which only lifts them into space; use "
                "`knuckle eval --crops truth`, which knows them"
            )

    def _told(
        self, affines: list[np.ndarray], crops: Sequence[tuple[Square, bool]], known: Sequence[KnownHand] | None
    ) -> dict[str, np.ndarray]:
        """The inputs that another network, or the truth, must say; networks of others need know nothing of them."""
        asked = {"side", "joints_image", "points"} & set(self.contract.inputs)
        if not asked:
            return {}
        points = [] if known is None else [hand.points for hand in known if hand.points is not None]
        if "points" in asked and len(points) != len(crops):
            self.check_sees()
        if known is None or len(known) != len(crops):
            raise ValueError(f"known must say {' and '.join(sorted(asked))} of each of {len(crops)} hands but does not")
        mirrors = [mirrored for _, mirrored in crops]
        told: dict[str, np.ndarray] = {}
        if "side" in asked:
            left = [(hand.side == "left") != mirrored for hand, mirrored in zip(known, mirrors, strict=True)]
            told["side"] = np.array([[float(value), float(not value)] for value in left])
        if "joints_image" in asked:
            uv = [apply_affine(affine, hand.uv) for hand, affine in zip(known, affines, strict=True)]
            told["joints_image"] = np.stack(uv)
        if "points" in asked:
            # The corners of a mirrored box are numbered as there.
            order = [*range(21), *(21 + corner for corner in MIRRORED_BOX_CORNERS)]
            told["points"] = np.stack(
                [
                    apply_affine(affine, each[order] if mirrored else each)
                    for affine, each, mirrored in zip(affines, points, mirrors, strict=True)
                ]
            )
        return told

    def refine(self, picture: np.ndarray, camera: Camera, previous: list[CropEstimate]) -> list[CropEstimate]:
        """Another pass, through the crops around the estimated joints: a detector's box may have cut off fingers."""
        refined = self.run(picture, camera, [(self._suggested(estimate), False) for estimate in previous])
        return [
            replace(new, left_log_odds=new.left_log_odds + old.left_log_odds)
            for new, old in zip(refined, previous, strict=True)
        ]

    def refine_mirrored(self, picture: np.ndarray, camera: Camera, previous: list[CropEstimate]) -> list[CropEstimate]:
        """Another pass, through the mirror images of the crops around the estimated joints; the mean with the previous.

        The two see the hand in different crops and from either side, and their errors differ. The previous counts as
        much where its crop is equivalent to the new one, and `first_look` where it is one that a detector's box gave.
        """
        suggested = [self._suggested(estimate) for estimate in previous]
        same = [self._nearly_same(old.square, square) for old, square in zip(previous, suggested, strict=True)]
        wanted = [
            (old.square if keep else square, True) for old, square, keep in zip(previous, suggested, same, strict=True)
        ]
        return [
            _mean_estimate(old, new, 0.5 if keep else self._config.first_look)
            for old, new, keep in zip(previous, self.run(picture, camera, wanted), same, strict=True)
        ]

    def add_mirrored(self, picture: np.ndarray, camera: Camera, previous: list[CropEstimate]) -> list[CropEstimate]:
        """Another pass, through the mirror images of the same crops; the mean of both."""
        mirrored = self.run(picture, camera, [(estimate.square, True) for estimate in previous])
        return [_mean_estimate(old, new, 0.5) for old, new in zip(previous, mirrored, strict=True)]

    def _pixel_estimate(
        self, outputs: dict[str, np.ndarray], affine: np.ndarray, square: Square, mirrored: bool
    ) -> CropEstimate:
        """From pixels of the crop, with depths in such pixels ("sight") or in lengths of a bone ("2.5d")."""
        scale = square.side / self.rule.size
        depth_scale = scale if self.contract.coordinates == "sight" else 1.0
        back = invert_affine(affine)

        def to_picture(points: np.ndarray) -> np.ndarray:
            points = points.astype(float)
            return np.concatenate([apply_affine(back, points[:, :2]), depth_scale * points[:, 2:]], axis=1)

        extent = scale * max(float(np.ptp(outputs["joints"][:, :2].astype(float), axis=0).max()), 1e-6)
        return self._estimate(outputs, to_picture, scale, extent, square, mirrored)

    def _space_estimate(
        self, outputs: dict[str, np.ndarray], camera: Camera, crop: Camera, square: Square, mirrored: bool
    ) -> CropEstimate:
        """From points in the frame of the crop's camera, in metres or in lengths of a bone."""

        def to_picture(points: np.ndarray) -> np.ndarray:
            points = crop.to_camera(points.astype(float))
            # A point behind the camera has no projection.
            points[:, 2] = np.maximum(points[:, 2], self._config.min_depth)
            return np.concatenate([camera.project(points), points[:, 2:]], axis=1)

        joints = to_picture(outputs["joints"])
        extent = max(float(np.ptp(joints[:, :2], axis=0).max()), 1e-6)
        pixels_per_unit = focal_length(camera.K) / joints[self.contract.root, 2]
        return self._estimate(outputs, to_picture, pixels_per_unit, extent, square, mirrored)

    def _estimate(
        self,
        outputs: dict[str, np.ndarray],
        to_picture: Callable[[np.ndarray], np.ndarray],
        unit: float,
        extent: float,
        square: Square,
        mirrored: bool,
    ) -> CropEstimate:
        """The estimate; `unit` of the uncertainty and `extent` of the hand are in pixels of the picture."""
        uncertainty = np.full(21, self._config.default_uncertainty * extent)
        if "uncertainty" in outputs:
            uncertainty = unit * outputs["uncertainty"].astype(float)
        corners = to_picture(outputs["corners"]) if "corners" in outputs else None
        corner_uncertainty = None
        if "corner_uncertainty" in outputs:
            corner_uncertainty = unit * outputs["corner_uncertainty"].astype(float)
        if corners is not None and mirrored:
            corners = corners[list(MIRRORED_BOX_CORNERS)]
            if corner_uncertainty is not None:
                corner_uncertainty = corner_uncertainty[list(MIRRORED_BOX_CORNERS)]
        log_odds = _log_odds(float(outputs["left"])) if "left" in outputs else 0.0
        return CropEstimate(
            square,
            to_picture(outputs["joints"]),
            uncertainty,
            float(uncertainty.mean()) / extent,
            -log_odds if mirrored else log_odds,
            float(outputs["presence"]) if "presence" in outputs else 1.0,
            to_picture(outputs["vertices"]) if "vertices" in outputs else None,
            corners,
            outputs["category"].astype(float) if "category" in outputs else None,
            corner_uncertainty,
            float(outputs["holds"]) if "holds" in outputs else 1.0,
        )

    def _suggested(self, estimate: CropEstimate) -> Square:
        """The crop around an estimate's joints, its change in size bounded."""
        square = square_of_joints(estimate.uv, rule=self.rule)
        low, high = self._config.min_rescale, self._config.max_rescale
        wanted = self._config.refined_side * square.side
        side = float(np.clip(wanted, low * estimate.square.side, high * estimate.square.side))
        return square._replace(side=side)

    def _nearly_same(self, one: Square, other: Square) -> bool:
        c = self._config
        apart = math.hypot(one.centre[0] - other.centre[0], one.centre[1] - other.centre[1])
        zoomed = abs(math.log(one.side / other.side))
        turned = abs((one.angle - other.angle + math.pi) % (2 * math.pi) - math.pi)
        return apart < c.same_crop_shift * one.side and zoomed < c.same_crop_zoom and turned < c.same_crop_turn


def _rows(outputs: dict[str, np.ndarray], count: int) -> list[dict[str, np.ndarray]]:
    return [{name: values[i] for name, values in outputs.items()} for i in range(count)]


def _mean_estimate(old: CropEstimate, new: CropEstimate, share: float) -> CropEstimate:
    """Both together, `share` of the old; the side by the evidence of both."""

    def mean(name: str) -> np.ndarray:
        return np.asarray(share * getattr(old, name) + (1.0 - share) * getattr(new, name))

    names = ("vertices", "corners", "category", "corner_uncertainty")
    optional = [name for name in names if getattr(new, name) is not None]
    return CropEstimate(
        new.square,
        mean("joints"),
        mean("uncertainty"),
        relative_uncertainty=float(mean("relative_uncertainty")),
        left_log_odds=old.left_log_odds + new.left_log_odds,
        presence=float(mean("presence")),
        holds=float(mean("holds")),
        masks=new.masks,
        **{name: mean(name) for name in optional},
    )


def _log_odds(probability: float) -> float:
    probability = min(max(probability, 1e-4), 1.0 - 1e-4)
    return math.log(probability / (1.0 - probability))
