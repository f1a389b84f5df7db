"""The bank of grasps that comes with knuckle, the subjects it was made for, and how more grasps are found.

grasps.npz is made by tools/build_grasps.py: for every object several grasps of the average hand, and of the objects of
HOP's preset two of each of its ten subjects.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

import numpy as np

from knuckle.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from knuckle.handmodel import HandModel
from knuckle.synth.grasp import Grasp, GraspSearch
from knuckle.synth.objects import everyday_things
from knuckle.synth.things import Thing
from knuckle.synth.touch import Touch

AVERAGE = -1  # the person that the average hand's grasps are of
_ANGLE_STEP = 2e-4  # radians of the numbers that are stored
_PLACE_STEP = 2e-5  # metres
_SUBJECT_SEED = 20190220
# Hand lengths of adults, mean and standard deviation in metres: Gordon et al., 1988 Anthropometric Survey of U.S. Army
# Personnel, 1989.
_HAND_LENGTH = {"female": (0.1805, 0.0098), "male": (0.1938, 0.0098)}


@dataclass(frozen=True)
class HandlingPlan:
    """What is in a preset of sequences in which hands take and hold objects.

    Attributes:
        frames: of a sequence; where `sequences` is given, the mean.
        sequences: that the whole set's pictures are shared out to; 0 for as many as it takes.
        frames_per_second: of the sequences.
        share: minimum and maximum of a hand's length over the picture's side.
        hop: with HOP's objects and subjects, right hands, and two lamps.
        backgrounds: different backgrounds; 0 for one of its own for every sequence.
        test_images: pictures at the set's end that are its test split.
    """

    frames: int = 60
    sequences: int = 0
    frames_per_second: float = 30.0
    share: tuple[float, float] = (0.3, 0.65)
    hop: bool = False
    backgrounds: int = 0
    test_images: int = 0

    @property
    def seconds(self) -> float:
        """Length of a sequence."""
        return self.frames / self.frames_per_second

    def place(self, index: int, images: int | None) -> tuple[int, int]:
        """Number of the sequence and of the frame in it of picture `index` of a set of `images`."""
        if not self.sequences or images is None:
            return divmod(index, self.frames)
        sequence = index * self.sequences // images
        first = -(-sequence * images // self.sequences)
        return sequence, index - first


@dataclass(frozen=True)
class Subject:
    """A person of HOP's preset: sex, and the shape (S,) of the hand."""

    sex: Literal["female", "male"]
    shape: np.ndarray


@cache
def subjects() -> tuple[Subject, ...]:
    """The ten subjects, five of each sex in turn."""
    model = HandModel.open()
    length, per_unit = (float(np.ptp(v[:, 1][v[:, 1] > 0])) for v in (model.vertices, model.shape_vertices[0]))
    rng = np.random.default_rng(_SUBJECT_SEED)
    people = []
    for i in range(10):
        sex: Literal["female", "male"] = "female" if i % 2 == 0 else "male"
        mean, deviation = _HAND_LENGTH[sex]
        shape = np.clip(rng.normal(0, 0.8, len(model.shape_limits)), -2.0, 2.0)
        shape[0] = (mean + deviation * np.clip(rng.normal(), -1.5, 1.5) - length) / per_unit
        # Women's hands are slimmer for their length.
        shape[[2, 4]] += -0.6 if sex == "female" else 0.6
        people.append(Subject(sex, np.clip(shape, *np.asarray(model.shape_limits).T).round(4)))
    return tuple(people)


def hop_things() -> tuple[Thing, ...]:
    """The thirty objects of HOP's preset, their categories in turn: eight cylinders, eight bars, seven cubes, seven
    balls."""
    by_category: dict[str, list[Thing]] = {}
    for thing in everyday_things():
        by_category.setdefault(thing.category, []).append(thing)
    kept = [by_category[category][:count] for category, count in zip(by_category, (8, 8, 7, 7), strict=True)]
    return tuple(things[i] for i in range(8) for things in kept if i < len(things))


@dataclass(frozen=True)
class GraspBank:
    """Grasps by object and person.

    Attributes:
        grasps: for (name of an object, number of a subject or AVERAGE) its grasps.
    """

    grasps: Mapping[tuple[str, int], tuple[Grasp, ...]]

    @classmethod
    def load(cls, data: bytes | None = None) -> "GraspBank":
        """The bank that comes with knuckle, or one from the bytes that `saved` gave."""
        if data is None:
            data = (resources.files("knuckle.synth") / "data" / "grasps.npz").read_bytes()
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            names = [str(name) for name in stored["names"]]
            table = {key: stored[key] for key in ("thing", "person", "hold", "place", "angles")}
        grasps: dict[tuple[str, int], list[Grasp]] = {}
        for row in range(len(table["thing"])):
            place = table["place"][row].astype(float)
            T = np.eye(4)
            T[:3, :3], T[:3, 3] = axis_angle_to_matrix(place[:3] * _ANGLE_STEP), place[3:] * _PLACE_STEP
            grasp = Grasp(
                names[table["thing"][row]], int(table["hold"][row]), T, table["angles"][row].astype(float) * _ANGLE_STEP
            )
            grasps.setdefault((grasp.thing, int(table["person"][row])), []).append(grasp)
        return cls(MappingProxyType({key: tuple(found) for key, found in grasps.items()}))

    def saved(self) -> bytes:
        """The bank as the bytes of an .npz, the same for the same grasps."""
        names = sorted({thing for thing, _ in self.grasps})
        rows = [(key, grasp) for key in sorted(self.grasps) for grasp in self.grasps[key]]
        places = [
            np.concatenate(
                [
                    matrix_to_axis_angle(grasp.T_hand_object[:3, :3]) / _ANGLE_STEP,
                    grasp.T_hand_object[:3, 3] / _PLACE_STEP,
                ]
            )
            for _, grasp in rows
        ]
        arrays = {
            "names": np.array(names),
            "thing": np.array([names.index(thing) for (thing, _), _ in rows], np.uint8),
            "person": np.array([person for (_, person), _ in rows], np.int8),
            "hold": np.array([grasp.hold for _, grasp in rows], np.uint8),
            "place": np.round(places).astype(np.int16),
            "angles": np.round(np.array([grasp.angles for _, grasp in rows]) / _ANGLE_STEP).astype(np.int16),
        }
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, array in arrays.items():
                member = io.BytesIO()
                np.save(member, array, allow_pickle=False)
                info = zipfile.ZipInfo(f"{key}.npy")  # without a date: the same bytes on every day
                archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED)
        return out.getvalue()


def find_grasps(
    search: GraspSearch, thing: Thing, shape: np.ndarray, tries: int, keep: int, seed: Sequence[int] = (0,)
) -> list[tuple[Grasp, Touch]]:
    """Grasps of an object, of different holds as far as there are: at most `keep`, the best of each hold first.

    Args:
        search: of the hand. thing: the object. shape: (S,) of the hand. tries: at each hold. seed: of the tries.
    """
    by_hold: list[list[tuple[Grasp, Touch]]] = []
    for hold in range(len(thing.holds)):
        found = []
        for number in range(tries):
            rng = np.random.default_rng([*seed, hold, number])
            grasp = search.search(rng, thing, hold, shape)
            touch = search.measure(thing, grasp, shape)
            if touch.holds:
                found.append((grasp, touch))
        by_hold.append(sorted(found, key=lambda pair: -_quality(pair[1])))
    ranked = [pairs[i] for i in range(tries) for pairs in by_hold if i < len(pairs)]
    return ranked[:keep]


def fit_to(search: GraspSearch, thing: Thing, grasp: Grasp, shape: np.ndarray) -> tuple[Grasp, Touch]:
    """A grasp of another hand's, closed again for a hand of shape (S,), and how it touches."""
    fitted = search.refined(thing, _scaled(search, grasp, shape), shape, steps=14)
    return fitted, search.measure(thing, fitted, shape)


def _scaled(search: GraspSearch, grasp: Grasp, shape: np.ndarray) -> Grasp:
    """The grasp with the object as far from the palm as before, along a hand of another length."""
    ratio = float(np.linalg.norm(search.model.shaped_joints(shape)[9]) / np.linalg.norm(search.model.joints_rest[9]))
    T = grasp.T_hand_object.copy()
    T[1, 3] *= ratio
    return Grasp(grasp.thing, grasp.hold, T, grasp.angles)


def _quality(touch: Touch) -> float:
    """Many contacts, little penetration."""
    return min(len(touch.parts), 9) - 2000 * touch.penetration
