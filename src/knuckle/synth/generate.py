"""From a seed and an index to a labelled picture."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.handmodel.limits import angle_limits
from knuckle.handmodel.poses import named_pose, pose_names
from knuckle.skeleton import PARENTS
from knuckle.synth.backdrop import load_photos, photo_paths
from knuckle.synth.bank import GraspBank
from knuckle.synth.body import BodyModel
from knuckle.synth.body_surface import BodySurface
from knuckle.synth.clip import FRAMES_PER_SECOND, Clip, random_clip, scene_at
from knuckle.synth.collide import SelfCollision
from knuckle.synth.compose import Composer
from knuckle.synth.handling import Handler, Handling
from knuckle.synth.light import Panorama
from knuckle.synth.meshes import load_things, mesh_paths
from knuckle.synth.objects import everyday_things
from knuckle.synth.pairs import PairMaker, hand_pairs
from knuckle.synth.presets import PRESETS, preset_without
from knuckle.synth.realism import Sensor, photograph, random_sensor
from knuckle.synth.render import RenderedScene, Renderer
from knuckle.synth.scene import Scene, SceneHand, Solid
from knuckle.synth.staging import Stage
from knuckle.synth.surface import HandSurface
from knuckle.synth.wearer import Wearer

_MAX_ATTEMPTS = 6  # at sampling a crop that shows its hand
_MIN_AREA = 0.04  # fraction of a crop that its hand must cover: a forearm towards the camera can occlude the hand


@dataclass(frozen=True)
class Settings:
    """Everything that determines the bytes of a set of pictures.

    preset: a name of PRESETS. size: pixels along each side. seed: of all random numbers.
    backgrounds, hdri: folders of photographs and of panoramas, None for none.
    objects: folder of meshes to hold, of the preset grasp; None for the objects that come with knuckle.
    without: what is left out of the preset, names of WITHOUT.
    """

    preset: str = "crop"
    size: int = 256
    seed: int = 0
    backgrounds: str | None = None
    hdri: str | None = None
    objects: str | None = None
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        preset_without(self.preset, self.without)
        if not 32 <= self.size <= 2048:
            raise ValueError(f"size must be between 32 and 2048 pixels but got {self.size}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more but got {self.seed}")
        handling = PRESETS[self.preset].handling
        if self.objects is not None and (handling is None or handling.hop):
            raise ValueError(f"objects can be given to the preset grasp but got the preset {self.preset}")

    def for_manifest(self) -> dict[str, Any]:
        """The settings as builtin types, with the folders replaced by a digest of their file names and sizes."""
        described: dict[str, Any] = asdict(self) | {"without": list(self.without)}
        listed = {"backgrounds": photo_paths, "hdri": panorama_paths, "objects": mesh_paths}
        for key, paths_of in listed.items():
            folder = described[key]
            if folder is not None:
                paths = paths_of(Path(folder))
                listing = "\n".join(f"{p.name} {p.stat().st_size}" for p in paths)
                digest = hashlib.sha256(listing.encode()).hexdigest()
                described[key] = {"files": len(paths), "sha256_of_listing": digest}
        if self.objects is None:
            del described["objects"]  # as in the manifests of sets without them
        return described


@dataclass(frozen=True)
class Picture:
    """A rendered picture with its label (JSON-ready, see docs/pictures.md) and masks (see render.RenderedScene)."""

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
    """Renders labelled pictures by index: the same settings and index give the same picture.

    Holds an OpenGL context: use one generator per process, and close it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        model = HandModel.open()
        self.surface = surface_of(model)
        photos = load_photos(Path(settings.backgrounds)) if settings.backgrounds else []
        panoramas = [Panorama(p) for p in panorama_paths(Path(settings.hdri))] if settings.hdri else []
        size = (settings.size, settings.size)
        preset = preset_without(settings.preset, settings.without)
        collision = SelfCollision(self.surface.radii())
        touching = preset.touching > 0 and (preset.second_hand > 0 or preset.framing == "frame")
        wearer = Wearer(model, self.surface, BodySurface(BodyModel.open())) if preset.bodies else None
        limits = angle_limits()
        named = {name: named_pose(name) for name in pose_names()}
        composer = Composer(
            model=model,
            surface=self.surface,
            collision=collision,
            limits=limits,
            bank={name: pose for name, pose in named.items() if name.startswith(preset.named_poses)},
            preset=preset,
            size=size,
            photos=tuple(photos),
            panoramas=tuple(panoramas),
            pairs=PairMaker(model, self.surface, collision, hand_pairs()) if touching else None,
            wearer=wearer,
        )
        stage = Stage(wearer, named, limits, composer.pose) if wearer and preset.situations else None
        self.composer = replace(composer, stage=stage)
        self.renderer = Renderer(self.surface, size, bodies=wearer.bodies if wearer else None, realism=preset.realism)
        self._bones_near_joint = _bones_near_joints()
        self._clip_at_hand: tuple[int, Clip] | None = None
        self.handler = None
        if preset.handling is not None:
            things = load_things(Path(settings.objects)) if settings.objects else everyday_things()
            bank = GraspBank({}) if settings.objects else GraspBank.load()
            self.handler = Handler(self.composer, preset.handling, things, bank)
        self._handling_at_hand: tuple[int, Handling] | None = None

    def close(self) -> None:
        """Releases the OpenGL context."""
        self.renderer.close()

    def picture(self, index: int) -> Picture:
        """The picture with an index of 0 or more."""
        place, realism = {}, self.composer.preset.realism
        if self.composer.preset.framing == "clip":
            number, frame = divmod(index, self.composer.preset.clip_frames)
            place = {"clip": number, "frame": frame, "time": round(frame / FRAMES_PER_SECOND, 6)}
            scene = scene_at(self.composer, self._clip(number), place["time"])
            rendered = self.renderer.render(scene)
        elif self.handler is not None:
            scene, place = self._handled(self.handler, index)
            rendered = self.renderer.render(scene)
        else:
            scene, rendered = self._visible_scene(index)
        label = place | {
            "id": f"{self.settings.preset}-{self.settings.seed}-{index:08d}",
            "size": list(scene.size),
            "K": _rounded(scene.K, 6),
            "preset": self.settings.preset,
            "seed": self.settings.seed,
            "index": index,
            "hands": self._hand_labels(scene, rendered),
            "objects": [_object_label(solid) for solid in scene.solids if solid.T_camera_object is not None],
        }
        image = photograph(rendered.image, self._sensor(place.get("clip", index)), realism, self._camera_rng(index))
        return Picture(image, label, rendered.visible, rendered.complete)

    def _sensor(self, number: int) -> Sensor:
        """The camera of a picture or of a clip."""
        return random_sensor(np.random.default_rng([self.settings.seed, number, 1]), self.composer.preset.realism)

    def _camera_rng(self, index: int) -> np.random.Generator:
        """For the noise of a picture; the scene has a stream of its own, which the camera does not change."""
        return np.random.default_rng([self.settings.seed, index, 2])

    def _clip(self, number: int) -> Clip:
        if self._clip_at_hand is None or self._clip_at_hand[0] != number:
            seconds = self.composer.preset.clip_frames / FRAMES_PER_SECOND
            clip = random_clip(self.composer, np.random.default_rng([self.settings.seed, number]), seconds)
            self._clip_at_hand = (number, clip)
        return self._clip_at_hand[1]

    def _handled(self, handler: Handler, index: int) -> tuple[Scene, dict[str, Any]]:
        """The scene of a frame of a sequence with an object, and the labels of where it is in the set."""
        plan, images = handler.plan, self.composer.preset.images
        number, frame = plan.place(index, images)
        if self._handling_at_hand is None or self._handling_at_hand[0] != number:
            self._handling_at_hand = (number, handler.sequence(self.settings.seed, number))
        handling = self._handling_at_hand[1]
        time = frame / plan.frames_per_second
        place: dict[str, Any] = {"clip": number, "frame": frame, "time": round(time, 6), **handling.about}
        if images is not None and plan.test_images:
            place["split"] = "test" if images - plan.test_images <= index < images else "train"
        return handler.scene_at(handling, time), place

    def _visible_scene(self, index: int) -> tuple[Scene, RenderedScene]:
        """A random scene, sampled again when its crop shows too little of the hand."""
        rng = np.random.default_rng([self.settings.seed, index])
        for attempts_left in reversed(range(_MAX_ATTEMPTS)):
            scene = self.composer.scene(rng, index)
            rendered = self.renderer.render(scene)
            if (
                attempts_left == 0
                or self.composer.preset.framing != "crop"
                or _shows_hand(rendered, self.composer.preset.min_visible)
            ):
                return scene, rendered
        raise AssertionError("the last attempt returns")

    def _hand_labels(self, scene: Scene, rendered: RenderedScene) -> list[dict[str, Any]]:
        """The labels of all hands that are at least partly inside the picture."""
        labels = [self._hand_label(scene, rendered, i) for i in range(len(scene.hands)) if _is_seen(scene, rendered, i)]
        return [label for label in labels if min(np.subtract(label["box"][2:], label["box"][:2])) > 1]

    def _hand_label(self, scene: Scene, rendered: RenderedScene, number: int) -> dict[str, Any]:
        hand = scene.hands[number]
        uv = _project(hand.joints_camera, scene.K)
        return {
            "number": number + 1,
            "side": hand.side,
            "joints_camera": _rounded(hand.joints_camera, 6),
            "joints_image": _rounded(uv, 3),
            "visibility": self._visibility(rendered, uv, number),
            "angles": dict(zip(ANGLE_NAMES, _rounded(hand.angles, 6), strict=True)),
            "wrist_angles": _rounded(hand.wrist_angles, 6),
            "shape": _rounded(hand.shape, 5),
            "T_camera_hand": _rounded(hand.T_camera_hand, 8),
            "box": _rounded(self._box(hand, scene), 2),
            "pose": hand.pose,
            "view": hand.view,
        }

    def _box(self, hand: SceneHand, scene: Scene) -> np.ndarray:
        """x0, y0, x1, y1 around the hand without forearm, clipped to the picture."""
        uv = _project(hand.vertices_camera[self.surface.hand_vertices], scene.K)
        limit = np.array(scene.size) - 1.0
        return np.concatenate([np.clip(uv.min(0), 0, limit), np.clip(uv.max(0), 0, limit)])

    def _visibility(self, rendered: RenderedScene, uv: np.ndarray, number: int) -> list[int]:
        """1 where the pixel at a joint shows this hand near that joint, else 0 (occluded or outside the picture)."""
        height, width = rendered.visible.shape
        column, row = np.rint(uv).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
        own = np.isin(rendered.visible[row, column], (number + 1, 101 + number))
        bone = rendered.bone[row, column].astype(int) - 1
        near = self._bones_near_joint[np.arange(21), np.clip(bone, 0, None)] & (bone >= 0)
        return (inside & own & near).astype(int).tolist()


def _shows_hand(rendered: RenderedScene, min_visible: float) -> bool:
    visible, complete = np.count_nonzero(rendered.visible == 1), np.count_nonzero(rendered.complete & 1)
    return bool(visible > min_visible * complete and complete > _MIN_AREA * rendered.visible.size)


def _is_seen(scene: Scene, rendered: RenderedScene, number: int) -> bool:
    """Whether a hand is seen at all: a person's other hand may be behind the body, and is then not in the label."""
    return not scene.bodies or bool((rendered.visible == number + 1).any())


def _object_label(solid: Solid) -> dict[str, Any]:
    assert solid.held_by is not None
    return {
        "held_by": solid.held_by + 1,
        "T_camera_object": _rounded(np.asarray(solid.T_camera_object), 8),
        "half": _rounded(np.asarray(solid.half_extents), 6),
        **solid.about,
    }


def surface_of(model: HandModel) -> HandSurface:
    """The model's mesh, ready to render.

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


def _bones_near_joints() -> np.ndarray:
    """(21, 17) which bones' surface surrounds each joint: those that begin or end at it."""
    near = np.zeros((21, 17), bool)
    near[0, [0, 1, 16]] = True
    for joint in range(1, 21):
        finger, level = (joint - 1) // 4, (joint - 1) % 4
        own = 1 + 3 * finger + level
        if level < 3:
            near[joint, own] = True
        # Level 0 hangs on the palm; the others on the bone before them.
        near[joint, own - 1 if level else 0] = True
        assert PARENTS[joint] == (joint - 1 if level else 0)
    return near


def _project(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    uvw = points @ K.T
    return uvw[:, :2] / uvw[:, 2:]


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    """values as nested lists, rounded; adding zero turns -0.0 into 0.0."""
    return (np.round(np.asarray(values, float), digits) + 0.0).tolist()
