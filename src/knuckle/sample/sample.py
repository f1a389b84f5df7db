"""One hand in one picture, with the labels that exist."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np

from knuckle.arrays import Array
from knuckle.camera import Camera
from knuckle.sample.validate import check_array, check_box, check_finite, check_rigid, check_side
from knuckle.skeleton import MIRRORED_BOX_CORNERS

# Shape and kind of every array field; these are stacked in a batch.
ARRAY_FIELDS: dict[str, tuple[tuple[int | str, ...], str]] = {
    "image": (("H", "W", 3), "8-bit"),
    "joints_camera": ((21, 3), "floating-point"),
    "joints_image": ((21, 2), "floating-point"),
    "visibility": ((21,), "boolean"),
    "in_frame": ((21,), "boolean"),
    "vertices_camera": (("V", 3), "floating-point"),
    "angles": ((23,), "floating-point"),
    "wrist_angles": ((2,), "floating-point"),
    "shape": ((10,), "floating-point"),
    "T_camera_hand": ((4, 4), "floating-point"),
    "box": ((4,), "floating-point"),
    "mask_complete": (("H", "W"), "boolean"),
    "mask_visible": (("H", "W"), "boolean"),
    "object_mask": (("H", "W"), "boolean"),
    "T_camera_object": ((4, 4), "floating-point"),
    "object_corners_camera": ((8, 3), "floating-point"),
    "contacts": ((21,), "boolean"),
}
_PIXEL_FIELDS = ("image", "mask_complete", "mask_visible", "object_mask")
_CAMERA_FIELDS = ("joints_camera", "vertices_camera", "T_camera_hand", "T_camera_object", "object_corners_camera")
_JOINT_FIELDS = ("joints_camera", "joints_image")


@dataclass(frozen=True, eq=False)
class Sample:
    """One hand in one picture. A label that is missing is None, never zeros.

    All arrays are NumPy's. "camera" in a name is the frame of this Sample's camera: that of the crop after seen_by.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        camera: the camera of the image, not batched.
        side: "left" or "right".
        joints_camera: (21, 3) metres; a joint without a label is a row of NaN.
        joints_image: (21, 2) pixels; a joint without a label is a row of NaN.
        visibility: (21,) bool, True where the joint itself is visible.
        in_frame: (21,) bool, True where the joint lies within the original picture, before any crop.
        vertices_camera: (V, 3) metres.
        angles: (23,) radians, in the order of handmodel.ANGLE_NAMES.
        wrist_angles: (2,) radians, flexion and deviation.
        shape: (10,) of the open hand, not of another model.
        T_camera_hand: (4, 4) proper for both sides.
        box: (4,) x0, y0, x1, y1 of the hand, pixels.
        mask_complete: (H, W) bool, the hand without occluders.
        mask_visible: (H, W) bool, its visible part.
        object_mask: (H, W) bool, the visible part of the held object.
        object_category: of the held object.
        T_camera_object: (4, 4) proper.
        object_corners_camera: (8, 3) metres, in the binary order of skeleton.BOX_CORNERS, x along the object's
            stored main axis.
        contacts: (21,) bool, True where the joint's part of the hand touches the object.
        source: the data set or generator.
        id: unique within the source.

    Raises:
        ValueError: a field has another shape, type or range than described here, or pictures and camera differ in size.
    """

    image: np.ndarray | None = None
    camera: Camera | None = None
    side: Literal["left", "right"] | None = None
    joints_camera: np.ndarray | None = None
    joints_image: np.ndarray | None = None
    visibility: np.ndarray | None = None
    in_frame: np.ndarray | None = None
    vertices_camera: np.ndarray | None = None
    angles: np.ndarray | None = None
    wrist_angles: np.ndarray | None = None
    shape: np.ndarray | None = None
    T_camera_hand: np.ndarray | None = None
    box: np.ndarray | None = None
    mask_complete: np.ndarray | None = None
    mask_visible: np.ndarray | None = None
    object_mask: np.ndarray | None = None
    object_category: str | None = None
    T_camera_object: np.ndarray | None = None
    object_corners_camera: np.ndarray | None = None
    contacts: np.ndarray | None = None
    source: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if self.side is not None:
            check_side(self.side)
        for name, (shape, kind) in ARRAY_FIELDS.items():
            value = getattr(self, name)
            if value is None:
                continue
            check_array(name, value, shape, kind)
            if kind == "floating-point":
                check_finite(name, value, rows_may_miss=name in _JOINT_FIELDS)
        for name in ("T_camera_hand", "T_camera_object"):
            if getattr(self, name) is not None:
                check_rigid(name, getattr(self, name))
        if self.box is not None:
            check_box("box", self.box)
        self._check_sizes()

    def _check_sizes(self) -> None:
        sizes = {n: getattr(self, n).shape[1::-1] for n in _PIXEL_FIELDS if getattr(self, n) is not None}
        if self.camera is not None:
            if not isinstance(self.camera, Camera) or self.camera.K.shape != (3, 3):
                raise ValueError(f"camera must be a Camera with K (3, 3) but got {self.camera!r}")
            if self.camera.size is not None:
                sizes["camera"] = tuple(self.camera.size)
        if len(set(sizes.values())) > 1:
            raise ValueError(f"image, masks and camera must agree in (width, height) but got {sizes}")

    def seen_by(self, crop: Camera, cut: Callable[[Any, Any, tuple[int, int]], Any]) -> "Sample":
        """This sample through a crop of its camera: every label in the frame and pixels of the crop.

        Args:
            crop: from self.camera.crop, rotate, mirror, ...; not batched, its size known.
            cut: (picture (H, W, 3) uint8, affine (2, 3) from its pixels to the crop's, (width, height)) -> the crop,
                such as knuckle.image's. Masks are cut here, to the nearest pixel.

        Returns:
            A Sample with the crop as its camera. A mirrored crop changes the side. The box becomes the bounding box of
            its four corners. Visibility, in_frame and contacts do not change; joints_image shows whether a joint is
            inside the crop. A sample without a camera, which can only have labels in the picture, takes a crop of any
            camera of its picture's size, and the result has no camera either.

        Raises:
            ValueError: the crop has no size, or there are labels in space and no camera.
        """
        if crop.size is None:
            raise ValueError("crop must have a size to see a sample through it but got None")
        camera = self.camera
        if camera is None:
            placed = [name for name in _CAMERA_FIELDS if getattr(self, name) is not None]
            if placed:
                raise ValueError(f"camera must be known to see {', '.join(placed)} through a crop but got None")
            # Only its pixels are used.
            camera = Camera(np.eye(3))

        # From this sample's pixels and frame to the crop's, by way of the original picture's.
        affine = (crop.warp @ np.linalg.inv(camera.warp))[:2].astype(np.float64)
        turn = camera.R_crop_camera @ crop.R_crop_camera.T

        def pixels(uv: np.ndarray) -> np.ndarray:
            return (uv @ affine[:, :2].T + affine[:, 2]).astype(uv.dtype)

        def points(p: np.ndarray) -> np.ndarray:
            return (p @ turn).astype(p.dtype)

        def pose(T: np.ndarray) -> np.ndarray:
            return crop.pose_from_camera(camera.pose_to_camera(T)).astype(T.dtype)

        changed: dict[str, Array] = {} if self.camera is None else {"camera": crop}
        for name, change in (
            ("joints_camera", points),
            ("vertices_camera", points),
            ("joints_image", pixels),
            ("T_camera_hand", pose),
            ("T_camera_object", pose),
            ("object_corners_camera", points),
        ):
            if getattr(self, name) is not None:
                changed[name] = change(getattr(self, name))
        mirrored = bool(turn[0, 0] * turn[1, 1] < turn[0, 1] * turn[1, 0])
        if mirrored and self.side is not None:
            changed["side"] = "left" if self.side == "right" else "right"
        if self.object_corners_camera is not None and mirrored:
            changed["object_corners_camera"] = changed["object_corners_camera"][list(MIRRORED_BOX_CORNERS)]
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            corners = pixels(np.asarray([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=self.box.dtype))
            changed["box"] = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        if self.image is not None:
            changed["image"] = cut(self.image, affine, crop.size)
        for name in _PIXEL_FIELDS[1:]:
            mask = getattr(self, name)
            if mask is not None:
                cut_mask = cv2.warpAffine(mask.astype(np.uint8), affine, crop.size, flags=cv2.INTER_NEAREST)
                changed[name] = cut_mask.astype(bool)
        return replace(self, **changed)
