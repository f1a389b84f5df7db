"""The inputs of an evaluation as arrays: the ground truth of a data set, and predictions for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Truth:
    """The labels of N hands, in the camera frame (metres, x right, y down, z forward), common joint order.

    ids: (N) names, the picture's path below the data set's folder without its suffix; unique together with the side.
    joints: (N, 21, 3), NaN where a joint has no label. left: (N,) the hand's side.
    Absent labels are None: vertices (N, V, 3) (may be memory-mapped), joints_image (N, 21, 2) and K
    (N, 3, 3) in pixels of the whole picture, visible (N, 21), corners (N, 8, 3) of the object's box.
    mesh_rows: (M,) which vertices of the mesh are scored; all if None.
    categories: (N) of the held objects, None where there is no label; empty where there is none at all.
    pictures: (N) paths, empty when there are none. subsets: masks (N,) of parts of the set that are reported too.
    """

    ids: tuple[str, ...]
    joints: Float[np.ndarray, "n 21 3"]
    left: Bool[np.ndarray, " n"]
    vertices: np.ndarray | None = None
    joints_image: Float[np.ndarray, "n 21 2"] | None = None
    K: Float[np.ndarray, "n 3 3"] | None = None
    visible: Bool[np.ndarray, "n 21"] | None = None
    corners: Float[np.ndarray, "n 8 3"] | None = None
    mesh_rows: Int[np.ndarray, " m"] | None = None
    categories: tuple[str | None, ...] = ()
    pictures: tuple[Path, ...] = ()
    subsets: Mapping[str, Bool[np.ndarray, " n"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.ids)
        for name in ("joints", "left", "vertices", "joints_image", "K", "visible", "corners"):
            value = getattr(self, name)
            if value is not None and len(value) != count:
                raise ValueError(f"{name} must hold one row per id, {count}, but got {len(value)}")
        if self.categories and len(self.categories) != count:
            raise ValueError(f"categories must be one per id, {count}, but got {len(self.categories)}")
        if self.pictures and len(self.pictures) != count:
            raise ValueError(f"pictures must be one per id, {count}, but got {len(self.pictures)}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> Bool[np.ndarray, " n"]:
        """(N,) which hands have at least one labelled joint; some sets contain frames without labels."""
        points = [self.joints] if self.joints_image is None else [self.joints, self.joints_image]
        return np.logical_or.reduce([np.isfinite(p).all(-1).any(-1) for p in points])


@dataclass(frozen=True)
class Predictions:
    """Predictions for the same N hands, in the truth's order, frame, unit and joint order.

    present: (N,) False where a prediction is missing; the other arrays hold NaN there.
    joints: (N, 21, 3) metres, or None for predictions in 2D alone. absolute: whether joints are in the camera
    frame; False for root-relative joints (MediaPipe), which have no camera-space errors.
    vertices: (N, V, 3), any topology (may be memory-mapped). joints_image: (N, 21, 2) pixels. left: (N,) the predicted
    side. corners: (N, 8, 3). measures: (N,) by name, what was measured of each hand already, NaN where it could not be
    (see knuckle.evaluate.measures). source: where they are from, for the report.
    """

    present: Bool[np.ndarray, " n"]
    joints: np.ndarray | None = None
    vertices: np.ndarray | None = None
    joints_image: Float[np.ndarray, "n 21 2"] | None = None
    left: Bool[np.ndarray, " n"] | None = None
    corners: Float[np.ndarray, "n 8 3"] | None = None
    measures: Mapping[str, Float[np.ndarray, " n"]] = field(default_factory=dict)
    absolute: bool = True
    source: str = ""

    def __post_init__(self) -> None:
        count = len(self.present)
        shapes = {"joints": (21, 3), "joints_image": (21, 2), "corners": (8, 3), "vertices": (None, 3), "left": ()}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            given = tuple(value.shape)
            if len(given) != len(shape) + 1 or any(w not in (None, g) for w, g in zip(shape, given[1:], strict=True)):
                wanted = ", ".join("V" if w is None else str(w) for w in shape)
                raise ValueError(f"{name} must be (N, {wanted}) but got {given}".replace("(N, )", "(N,)"))
            if len(value) != count:
                raise ValueError(f"{name} must hold {count} hands but got {len(value)}")

    def __len__(self) -> int:
        return len(self.present)


def collect(
    samples: Sequence,
    pictures: Callable[[int], Path] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Truth:
    """The truth of a data set, read sample by sample.

    Args:
        samples: a reader (datasets) opened without images: its Samples hold labels only.
        pictures: returns the path of sample i's picture, for the worst cases.
        advance: called after every sample, for a progress bar.

    Returns:
        Truth. A label that no sample has stays None; where only some have it the others hold NaN.
    """
    rows: list = []
    for sample in samples:
        rows.append(sample)
        advance()

    def stack(get: Callable, shape: tuple[int, ...]) -> np.ndarray | None:
        values = [get(s) for s in rows]
        if all(v is None for v in values):
            return None
        empty = np.full(shape, np.nan)
        return np.stack([empty if v is None else np.asarray(v, np.float64) for v in values])

    vertex_counts = {len(s.vertices_camera) for s in rows if s.vertices_camera is not None}
    vertices = stack(lambda s: s.vertices_camera, (vertex_counts.pop(), 3)) if len(vertex_counts) == 1 else None
    joints = stack(lambda s: s.joints_camera, (21, 3))
    visible = [s.visibility for s in rows]
    return Truth(
        ids=tuple(s.id for s in rows),
        joints=np.full((len(rows), 21, 3), np.nan) if joints is None else joints,
        left=np.asarray([s.side == "left" for s in rows], bool),
        vertices=vertices,
        joints_image=stack(lambda s: s.joints_image, (21, 2)),
        K=stack(lambda s: None if s.camera is None else s.camera.K, (3, 3)),
        visible=None if any(v is None for v in visible) or not rows else np.stack(visible).astype(bool),
        corners=stack(lambda s: s.object_corners_camera, (8, 3)),
        categories=tuple(s.object_category for s in rows) if any(s.object_category for s in rows) else (),
        pictures=tuple(pictures(i) for i in range(len(rows))) if pictures else (),
    )


def take(truth: Truth, rows: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> Truth:
    """Some of the hands of a truth.

    Args:
        truth: N hands.
        rows: (M,) indices, or (N,) a mask.

    Returns:
        Truth of those, in that order.
    """
    rows = np.arange(len(truth))[rows]
    arrays = ("joints", "left", "vertices", "joints_image", "K", "visible", "corners")
    return replace(
        truth,
        ids=tuple(truth.ids[i] for i in rows),
        pictures=tuple(truth.pictures[i] for i in rows) if truth.pictures else (),
        categories=tuple(truth.categories[i] for i in rows) if truth.categories else (),
        subsets={name: mask[rows] for name, mask in truth.subsets.items()},
        **{name: None if getattr(truth, name) is None else getattr(truth, name)[rows] for name in arrays},
    )
