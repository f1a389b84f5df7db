"""Samples stacked into torch tensors, with a record of which labels are there. Imports torch only when called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from knuckle.arrays import Array
from knuckle.camera import Camera
from knuckle.sample.sample import ARRAY_FIELDS, Sample


@dataclass(frozen=True, eq=False)
class Batch:
    """Many samples as torch tensors. Losses query which labels exist: `rows = batch.rows("joints_camera", "camera")`.

    A field that no sample has is None. In a field that only some have, the rows of the others are NaN (False or 0
    where the dtype has no NaN), so that a loss that ignores this is NaN and not slightly wrong: index with rows() or
    joint_rows() before computing, `loss(predicted[rows], batch.joints_camera[rows])`.

    Attributes:
        present: for every field of Sample, (B,) bool: which samples have it.
        image: (B, 3, H, W) uint8, channels last in memory.
        camera: K (B, 3, 3) and so on; its size is None where the samples' differ.
        left: (B,) bool, True where side is "left".
        source, id, object_category: tuples of B strings or None.

    The other fields are Sample's, with a leading axis B; floating point in the dtype given to collate.
    """

    present: Mapping[str, Array]
    image: Array = None
    camera: Camera | None = None
    left: Array = None
    joints_camera: Array = None
    joints_image: Array = None
    visibility: Array = None
    in_frame: Array = None
    vertices_camera: Array = None
    angles: Array = None
    wrist_angles: Array = None
    shape: Array = None
    T_camera_hand: Array = None
    box: Array = None
    mask_complete: Array = None
    mask_visible: Array = None
    object_mask: Array = None
    T_camera_object: Array = None
    object_corners_camera: Array = None
    contacts: Array = None
    object_category: tuple[str | None, ...] = ()
    source: tuple[str | None, ...] = ()
    id: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return int(self.present["image"].shape[0])

    def rows(self, *names: str) -> Array:
        """(B,) bool: the samples that have all of these fields of Sample."""
        found = self.present["image"].new_ones(len(self))
        for name in names:
            found = found & self.present[name]
        return found

    def joint_rows(self, name: str) -> Array:
        """(B, 21) bool: the joints of joints_camera or joints_image that have a label."""
        value = getattr(self, name)
        if value is None:
            return self.present[name][:, None].expand(-1, 21)
        return value.isfinite().all(-1)

    def to(self, device: Array) -> "Batch":
        """The same batch with every tensor on a device (as torch's Tensor.to, without waiting)."""

        def moved(value: Array) -> Array:
            return value.to(device, non_blocking=True)

        changed: dict[str, Array] = {"present": {name: moved(flags) for name, flags in self.present.items()}}
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if name == "camera" and value is not None:
                changed[name] = Camera(moved(value.K), value.size, moved(value.warp), moved(value.R_crop_camera))
            elif name in ARRAY_FIELDS or name == "left":
                changed[name] = None if value is None else moved(value)
        return replace(self, **changed)


def _stack(name: str, values: Sequence[np.ndarray | None], dtype: np.dtype) -> np.ndarray | None:
    found = [v for v in values if v is not None]
    if not found:
        return None
    shapes = {v.shape for v in found}
    if len(shapes) > 1:
        raise ValueError(f"{name} must have one shape in a batch but got {sorted(shapes)}; crop them alike first")
    floating = found[0].dtype.kind == "f"
    stacked = np.full((len(values), *found[0].shape), np.nan if floating else 0, dtype if floating else found[0].dtype)
    for i, value in enumerate(values):
        if value is not None:
            stacked[i] = value
    return stacked


def collate(samples: Sequence[Sample], dtype: str = "float32") -> Batch:
    """Stack samples into a Batch; the collate_fn of a torch DataLoader.

    Args:
        samples: one or more; where they have a picture, mesh or mask, of one size.
        dtype: "float32" or "float64", of everything that is floating point.

    Returns:
        A Batch of new tensors on the CPU.

    Raises:
        ValueError: there are no samples, or their sizes differ.
    """
    import torch  # here, so that reading samples needs no torch

    if not samples:
        raise ValueError("samples must be at least one but got none")
    floating = np.dtype(dtype)
    stacked: dict[str, Array] = {}
    for name in ARRAY_FIELDS:
        array = _stack(name, [getattr(s, name) for s in samples], floating)
        stacked[name] = None if array is None else torch.from_numpy(array)
    if stacked["image"] is not None:
        # Channels first in shape and last in memory, as convolutions on a CPU want them: nothing is copied.
        stacked["image"] = stacked["image"].permute(0, 3, 1, 2)
    cameras = [s.camera for s in samples]
    sizes = {c.size for c in cameras if c is not None}
    parts = [
        _stack(name, [None if c is None else getattr(c, name) for c in cameras], floating)
        for name in ("K", "warp", "R_crop_camera")
    ]
    if parts[0] is not None:
        K, warp, rotation = (torch.from_numpy(part) for part in parts if part is not None)
        stacked["camera"] = Camera(K, sizes.pop() if len(sizes) == 1 else None, warp, rotation)
    sides = [s.side for s in samples]
    if any(side is not None for side in sides):
        stacked["left"] = torch.tensor([side == "left" for side in sides])
    present = {f.name: torch.tensor([getattr(s, f.name) is not None for s in samples]) for f in fields(Sample)}
    texts: dict[str, Array] = {
        name: tuple(getattr(s, name) for s in samples) for name in ("object_category", "source", "id")
    }
    return Batch(present=present, **stacked, **texts)
