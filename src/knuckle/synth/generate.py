"""From a seed and a number to a labelled picture."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.handmodel.limits import angle_limits
from knuckle.handmodel.poses import named_pose, pose_names
from knuckle.skeleton import PARENTS
from knuckle.synth.backdrop import load_photos, photo_paths
from knuckle.synth.collide import SelfCollision
from knuckle.synth.compose import Composer
from knuckle.synth.light import Panorama
from knuckle.synth.presets import PRESETS
from knuckle.synth.render import Drawing, Renderer
from knuckle.synth.scene import Scene, SceneHand, Solid
from knuckle.synth.surface import HandSurface

_TRIES = 6
_LEAST_SEEN = 0.5  # of a crop's hand that must not be hidden
_LEAST_FILLED = 0.04  # of a crop that its hand must fill: a forearm towards the camera can hide a hand by itself


@dataclass(frozen=True)
class Settings:
    """What decides every byte of a set of pictures.

    preset: a name of PRESETS. size: pixels along each side. seed: of all randomness.
    backgrounds, hdri: folders of photographs and of panoramas, None for none.
    """

    preset: str = "crop"
    size: int = 256
    seed: int = 0
    backgrounds: str | None = None
    hdri: str | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)} but got {self.preset!r}")
        if not 32 <= self.size <= 2048:
            raise ValueError(f"size must be between 32 and 2048 pixels but got {self.size}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more but got {self.seed}")

    def described(self) -> dict[str, Any]:
        """The settings with the folders replaced by what they hold (file names and sizes), for a manifest."""
        described: dict[str, Any] = asdict(self)
        for key in ("backgrounds", "hdri"):
            folder = described[key]
            if folder is not None:
                paths = photo_paths(Path(folder)) if key == "backgrounds" else panorama_paths(Path(folder))
                listing = "\n".join(f"{p.name} {p.stat().st_size}" for p in paths)
                digest = hashlib.sha256(listing.encode()).hexdigest()
                described[key] = {"files": len(paths), "sha256_of_listing": digest}
        return described


@dataclass(frozen=True)
class Picture:
    """A drawn picture with its label (JSON-ready, see labels_of) and masks (see render.Drawing)."""

    image: np.ndarray
    label: dict[str, Any]
    visible: np.ndarray
    complete: np.ndarray


def panorama_paths(folder: Path) -> list[Path]:
    """The panoramas of a folder, sorted by name.

    Raises:
        ValueError: there are none.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".hdr", ".exr"})
    if not paths:
        raise ValueError(f"hdri must be a folder with .hdr panoramas but {folder} has none")
    return paths


class Generator:
    """Draws labelled pictures by number: the same settings and number give the same picture.

    Holds an OpenGL context: use one in each process, and close it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        model = HandModel.open()
        self.surface = surface_of(model)
        photos = load_photos(Path(settings.backgrounds)) if settings.backgrounds else []
        panoramas = [Panorama(p) for p in panorama_paths(Path(settings.hdri))] if settings.hdri else []
        size = (settings.size, settings.size)
        self.composer = Composer(
            model=model,
            surface=self.surface,
            collision=SelfCollision(self.surface.radii()),
            limits=angle_limits(),
            bank={name: named_pose(name) for name in pose_names()},
            preset=PRESETS[settings.preset],
            size=size,
            photos=tuple(photos),
            panoramas=tuple(panoramas),
        )
        self.renderer = Renderer(self.surface, size)
        self._seen_bones = _bones_beside_joints()

    def close(self) -> None:
        """Gives the OpenGL context back."""
        self.renderer.close()

    def picture(self, index: int) -> Picture:
        """Picture number index (0 or more)."""
        rng = np.random.default_rng([self.settings.seed, index])
        scene, drawing = self._draw(rng)
        label = {
            "id": f"{self.settings.preset}-{self.settings.seed}-{index:08d}",
            "size": list(scene.size),
            "K": _rounded(scene.K, 6),
            "preset": self.settings.preset,
            "seed": self.settings.seed,
            "index": index,
            "hands": self._hand_labels(scene, drawing),
            "objects": [_object_label(solid) for solid in scene.solids if solid.held_by is not None],
        }
        return Picture(drawing.image, label, drawing.visible, drawing.complete)

    def _draw(self, rng: np.random.Generator) -> tuple[Scene, Drawing]:
        """A scene, drawn again when a crop shows next to nothing of its hand."""
        for left in reversed(range(_TRIES)):
            scene = self.composer.scene(rng)
            drawing = self.renderer.draw(scene)
            if left == 0 or self.composer.preset.framing != "crop" or _shows_hand(drawing):
                return scene, drawing
        raise AssertionError("the last try returns")

    def _hand_labels(self, scene: Scene, drawing: Drawing) -> list[dict[str, Any]]:
        """The labels of all hands of which something lies in the picture."""
        labels = [self._hand_label(scene, drawing, i) for i in range(len(scene.hands))]
        return [label for label in labels if min(np.subtract(label["box"][2:], label["box"][:2])) > 1]

    def _hand_label(self, scene: Scene, drawing: Drawing, number: int) -> dict[str, Any]:
        hand = scene.hands[number]
        uv = _project(hand.joints_camera, scene.K)
        return {
            "number": number + 1,
            "side": hand.side,
            "joints_camera": _rounded(hand.joints_camera, 6),
            "joints_image": _rounded(uv, 3),
            "visibility": self._visibility(drawing, uv, number),
            "angles": dict(zip(ANGLE_NAMES, _rounded(hand.angles, 6), strict=True)),
            "wrist_angles": _rounded(hand.wrist_angles, 6),
            "shape": _rounded(hand.shape, 5),
            "T_camera_hand": _rounded(hand.T_camera_hand, 8),
            "box": _rounded(self._box(hand, scene), 2),
            "pose": hand.pose,
            "view": hand.view,
        }

    def _box(self, hand: SceneHand, scene: Scene) -> np.ndarray:
        """x0, y0, x1, y1 round the hand without forearm, as far as the picture reaches."""
        uv = _project(hand.vertices_camera[self.surface.hand_vertices], scene.K)
        limit = np.array(scene.size) - 1.0
        return np.concatenate([np.clip(uv.min(0), 0, limit), np.clip(uv.max(0), 0, limit)])

    def _visibility(self, drawing: Drawing, uv: np.ndarray, number: int) -> list[int]:
        """1 where the flesh round a joint is what the picture shows at the joint, else 0 (hidden or outside)."""
        height, width = drawing.visible.shape
        column, row = np.rint(uv).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
        mine = np.isin(drawing.visible[row, column], (number + 1, 101 + number))
        bone = drawing.bone[row, column].astype(int) - 1
        beside = self._seen_bones[np.arange(21), np.clip(bone, 0, None)] & (bone >= 0)
        return (inside & mine & beside).astype(int).tolist()


def _shows_hand(drawing: Drawing) -> bool:
    seen, whole = np.count_nonzero(drawing.visible == 1), np.count_nonzero(drawing.complete & 1)
    return bool(seen > _LEAST_SEEN * whole and whole > _LEAST_FILLED * drawing.visible.size)


def _object_label(solid: Solid) -> dict[str, Any]:
    assert solid.held_by is not None
    return {
        "held_by": solid.held_by + 1,
        "T_camera_object": _rounded(np.asarray(solid.T_camera_object), 8),
        "half": _rounded(np.asarray(solid.half), 6),
    }


def surface_of(model: HandModel) -> HandSurface:
    """The model's mesh, ready to draw.

    Raises:
        ValueError: the model has no texture coordinates or no forearm.
    """
    if model.uv is None or model.faces_uv is None or model.face_part is None or model.wrist_angle_axis is None:
        raise ValueError(f"the hand must have texture coordinates, parts and a forearm but {model.name!r} lacks some")
    return HandSurface(
        model.vertices,
        model.faces,
        model.uv,
        model.faces_uv,
        model.face_part,
        list(model.part_names),
        model.joints_rest,
        model.weights.argmax(1),
        model.weights.shape[1] - 1,
    )


def _bones_beside_joints() -> np.ndarray:
    """(21, 17) whether the flesh of a bone lies round a joint: bones that end, begin or pass at it."""
    beside = np.zeros((21, 17), bool)
    beside[0, [0, 1, 16]] = True
    for joint in range(1, 21):
        finger, level = (joint - 1) // 4, (joint - 1) % 4
        own = 1 + 3 * finger + level
        if level < 3:
            beside[joint, own] = True
        # Level 0 hangs on the palm; the others on the bone before them.
        beside[joint, own - 1 if level else 0] = True
        assert PARENTS[joint] == (joint - 1 if level else 0)
    return beside


def _project(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    uvw = points @ K.T
    return uvw[:, :2] / uvw[:, 2:]


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    """values as nested lists, short enough to write; adding zero turns -0.0 into 0.0."""
    return (np.round(np.asarray(values, float), digits) + 0.0).tolist()
