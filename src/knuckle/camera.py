"""A pinhole camera that projects, unprojects, crops, rotates and mirrors, and always returns Cameras.

A crop is a Camera of its own, with the same centre of projection and its own axes: rotated about the optical axis so
that the crop is upright, and with x reversed where the crop is mirrored. That is exact, not an
approximation: an affine change A of the pixels acts on a camera as A K = K' R with K' upper triangular and R a
rotation about the optical axis, or such a rotation mirrored. So

    crop.project(crop.from_camera(joints_camera)) == crop.from_picture(camera.project(joints_camera))

and a network that works on crops does not depend on boxes, rotations or sides: crop.to_camera transforms its output
from the crop's frame to the camera's. Depths are the same in both.

Pixel centres are at integers: the picture's edges are at -0.5 and size - 0.5.
"""

from dataclasses import dataclass, field

import array_api_compat
import numpy as np
from jaxtyping import Bool, Float

from knuckle.arrays import Array, array_like, namespace
from knuckle.geometry.depth import RootDepth, root_depth

_IDENTITY = np.eye(3)
_IDENTITY.flags.writeable = False


def _matrix(rows: list[list[Array]], like: Array) -> Array:
    """A matrix of floats, or matrices of arrays, of the library and dtype of `like`."""
    if all(isinstance(value, float) for row in rows for value in row):
        return np.array(rows, dtype=like.dtype)
    xp = namespace(like)
    return xp.stack([xp.stack(xp.broadcast_arrays(*row), axis=-1) for row in rows], axis=-2)


def crop_affine(
    centre: tuple[Array, Array], scale: tuple[Array, Array], cos: Array, sin: Array, size: tuple[int, int]
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """The affine map from a picture's pixels to those of a crop; plain arithmetic, for floats and arrays alike.

    Args:
        centre: (u, v) in the picture that becomes the middle of the crop.
        scale: pixels of the crop in one of the picture along the crop's x and y; a negative first one mirrors.
        cos, sin: of the angle by which the crop's box is turned in the picture, from x towards y.
        size: width and height of the crop in pixels.

    Returns:
        a, b, x, c, d, y: crop = (a u + b v + x, c u + d v + y), pixel centres at integers in both.
    """
    (u, v), (along_x, along_y) = centre, scale
    a, b = along_x * cos, along_x * sin
    c, d = -along_y * sin, along_y * cos
    return a, b, (size[0] - 1) / 2 - (a * u + b * v), c, d, (size[1] - 1) / 2 - (c * u + d * v)


def viewing_rays(intrinsics: Float[Array, "*#batch 3 3"], uv: Float[Array, "*#batch n 2"]) -> Float[Array, "... n 3"]:
    """K^-1 (u, v, 1): the viewing rays of pixels, at depth one.

    Args:
        intrinsics: (..., 3, 3) upper triangular.
        uv: (..., N, 2) pixels.

    Returns:
        (..., N, 3) in the camera's frame.
    """
    xp = namespace(intrinsics, uv)
    K = intrinsics[..., None, :, :]
    y = (uv[..., 1] - K[..., 1, 2]) / K[..., 1, 1]
    x = (uv[..., 0] - K[..., 0, 2] - K[..., 0, 1] * y) / K[..., 0, 0]
    return xp.stack([x, y, xp.ones_like(x)], axis=-1)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera, or a crop of one.

    Frames: "camera" is the frame of the camera that took the picture (x right, y down, z forward); "crop" is this
    Camera's own, the same unless it was derived by crop, rotate or mirror.

    Attributes:
        K: (..., 3, 3) intrinsics in pixels of this Camera's picture, upper triangular, the last row 0, 0, 1.
        size: width and height in pixels, None where unknown.
        warp: (..., 3, 3) affine map from pixels of the original picture to this Camera's; identity by default.
            `cv2.warpAffine(picture, warp[:2], size)` cuts the crop.
        R_crop_camera: (..., 3, 3) about the optical axis; determinant -1 where mirrored; identity by default.

    Raises:
        ValueError: the shape, dtype or (for NumPy arrays) the form of K is wrong.
    """

    K: Array
    size: tuple[int, int] | None = None
    warp: Float[Array, "*batch 3 3"] = field(default=None, repr=False)
    R_crop_camera: Float[Array, "*batch 3 3"] = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape = getattr(self.K, "shape", None)
        if shape is None or tuple(shape[-2:]) != (3, 3):
            came = type(self.K).__name__ if shape is None else f"the shape {tuple(shape)}"
            raise ValueError(f"K must be an array (..., 3, 3) but got {came}")
        xp, dtype = namespace(self.K), self.K.dtype
        if not xp.isdtype(dtype, "real floating"):
            raise ValueError(f"K must be floating point but got {dtype}")
        # Only NumPy values are validated: a tensor's would have to be copied from its device.
        if isinstance(self.K, np.ndarray):
            K = self.K
            lower = K[..., 1, 0].any() or K[..., 2, 0].any() or K[..., 2, 1].any() or (K[..., 2, 2] != 1).any()
            focal = (K[..., 0, 0] > 0).all() and (K[..., 1, 1] > 0).all()
            if lower or not focal or not np.isfinite(K).all():
                raise ValueError(
                    "K must be [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx, fy > 0 but got "
                    f"{self.K.tolist()}; transpose it, or flip the axes of an OpenGL camera first"
                )
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ValueError(f"size must be (width, height), each at least 1, but got {self.size}")
        for name in ("warp", "R_crop_camera"):
            if getattr(self, name) is None:
                # A single camera is made for every example of a training run.
                if isinstance(self.K, np.ndarray) and shape == (3, 3) and dtype == np.float64:
                    object.__setattr__(self, name, _IDENTITY)
                    continue
                identity = xp.eye(3, dtype=dtype, device=array_api_compat.device(self.K))
                object.__setattr__(self, name, xp.broadcast_to(identity, shape))

    @classmethod
    def from_intrinsics(
        cls, fx: float, fy: float, cx: float, cy: float, size: tuple[int, int] | None = None
    ) -> "Camera":
        """A camera from its focal lengths and principal point in pixels (NumPy, float64)."""
        return cls(np.asarray([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64), size)

    @classmethod
    def from_fov(cls, size: tuple[int, int], fov: float) -> "Camera":
        """A camera with square pixels and a centred principal point (NumPy, float64).

        Args:
            size: width and height in pixels.
            fov: full angle of view along the longer side, in radians.

        Raises:
            ValueError: fov is not between 0 and pi.
        """
        if not 0 < fov < np.pi:
            raise ValueError(f"fov must be between 0 and pi radians but got {fov}; convert degrees with math.radians")
        focal = max(size) / 2 / np.tan(fov / 2)
        return cls.from_intrinsics(focal, focal, (size[0] - 1) / 2, (size[1] - 1) / 2, size)

    def to(self, like: Array) -> "Camera":
        """The same camera with its arrays in the library, dtype and device of `like`."""
        return Camera(
            array_like(self.K, like), self.size, array_like(self.warp, like), array_like(self.R_crop_camera, like)
        )

    # Points to pixels and back

    def project(self, points: Float[Array, "*#batch n 3"]) -> Float[Array, "... n 2"]:
        """Pixels of points.

        Args:
            points: (..., N, 3) in this Camera's own frame (after from_camera, for a crop).

        Returns:
            (..., N, 2) u, v; NaN where the depth is 0. Points behind the camera are projected through the centre:
            check their depth where they can occur.
        """
        xp = namespace(self.K, points)
        depth = points[..., 2:]
        depth = xp.where(depth == 0, xp.full_like(depth, xp.nan), depth)
        return points[..., :2] / depth @ xp.matrix_transpose(self.K[..., :2, :2]) + self.K[..., None, :2, 2]

    def rays(self, uv: Float[Array, "*#batch n 2"]) -> Float[Array, "... n 3"]:
        """Viewing rays of pixels: K^-1 (u, v, 1), at depth one.

        Args:
            uv: (..., N, 2) pixels of this Camera's picture.

        Returns:
            (..., N, 3) in this Camera's own frame.
        """
        return viewing_rays(self.K, uv)

    def unproject(self, uv: Float[Array, "*#batch n 2"], depth: Float[Array, "*#batch n"]) -> Float[Array, "... n 3"]:
        """Points at pixels with known depth: the inverse of project.

        Args:
            uv: (..., N, 2) pixels.
            depth: (..., N) z.

        Returns:
            (..., N, 3) in this Camera's own frame, in the unit of depth.
        """
        return self.rays(uv) * depth[..., None]

    # Derived cameras

    def crop(
        self,
        box: Array,
        size: tuple[int, int],
        rotation: Array = 0.0,
        mirror: Array = False,
    ) -> "Camera":
        """The camera of a box, optionally rotated and mirrored, resampled to a size.

        Args:
            box: (..., 4) x0, y0, x1, y1 in pixels of this picture; rotated about its centre by `rotation`. Pixel
                centres are at integers: the whole picture is (-0.5, -0.5, width - 0.5, height - 0.5).
            size: width and height of the crop; another aspect ratio than the box's is anisotropic.
            rotation: (...) radians by which the box is rotated, from x towards y (clockwise as seen): the crop's
                x axis points along (cos, sin) in the picture.
            mirror: (...) True reverses the crop's x axis.

        Returns:
            The crop's Camera; with a batched box a batched one.

        Raises:
            ValueError: the box has no area (NumPy only).
        """
        box = array_like(box, self.K)
        extent = box[..., 2:] - box[..., :2]
        if isinstance(extent, np.ndarray) and not np.all(extent > 0):
            raise ValueError(f"box must be (x0, y0, x1, y1) with x1 > x0 and y1 > y0 but got {box.tolist()}")
        return self._cut((box[..., :2] + box[..., 2:]) / 2, extent, size, rotation, mirror)

    def crop_around(
        self,
        centre: Array,
        side: Array,
        size: tuple[int, int],
        rotation: Array = 0.0,
        mirror: Array = False,
    ) -> "Camera":
        """As crop, of a box given by its centre and width; its height follows from the crop's aspect ratio.

        Args:
            centre: (..., 2) in pixels of this picture.
            side: (...) width of the box in pixels of this picture.
            size: width and height of the crop.
            rotation: (...) radians, as in crop.
            mirror: (...) as in crop.

        Returns:
            The crop's Camera.
        """
        side = array_like(side, self.K)[..., None] * array_like([1.0, size[1] / size[0]], self.K)
        return self._cut(array_like(centre, self.K), side, size, rotation, mirror)

    def rotate(self, angle: Array) -> "Camera":
        """The whole picture rotated about its centre by `angle` radians counter-clockwise, at the same size."""
        size = self._known_size("rotate")
        return self.crop([-0.5, -0.5, size[0] - 0.5, size[1] - 0.5], size, rotation=angle)

    def mirror(self) -> "Camera":
        """The whole picture mirrored horizontally."""
        size = self._known_size("mirror")
        return self.crop([-0.5, -0.5, size[0] - 0.5, size[1] - 0.5], size, mirror=True)

    def resize(self, size: tuple[int, int]) -> "Camera":
        """The whole picture at another width and height."""
        old = self._known_size("resize")
        return self.crop([-0.5, -0.5, old[0] - 0.5, old[1] - 0.5], size)

    def scale(self, factor: float) -> "Camera":
        """The whole picture larger by `factor`, its width and height rounded to whole pixels."""
        width, height = self._known_size("scale")
        return self.resize((max(1, round(width * factor)), max(1, round(height * factor))))

    def _known_size(self, what: str) -> tuple[int, int]:
        if self.size is None:
            raise ValueError(f"size must be known to {what} a camera but got None; give Camera(K, size=(w, h))")
        return self.size

    def _cut(self, centre: Array, extent: Array, size: tuple[int, int], rotation: Array, mirror: Array) -> "Camera":
        rotation = array_like(rotation, self.K)
        # False and True to 1 and -1, as numbers first: xp.where takes no Python bool.
        flip = 1 - 2 * array_like(mirror, self.K)
        xp = namespace(self.K)
        numbers = [
            centre[..., 0],
            centre[..., 1],
            extent[..., 0],
            extent[..., 1],
            xp.cos(rotation),
            xp.sin(rotation),
            flip,
        ]
        if isinstance(self.K, np.ndarray) and all(value.ndim == 0 for value in (self.K[..., 0, 0], *numbers)):
            # One crop in NumPy, as for every example of a training run: arithmetic on floats is many times as fast.
            numbers = [float(value) for value in numbers]
        u, v, width, height, cos, sin, flip = numbers
        a, b, x, c, d, y = crop_affine((u, v), (flip * size[0] / width, size[1] / height), cos, sin, size)
        return self._warped(_matrix([[a, b, x], [c, d, y], [0 * x, 0 * x, 0 * x + 1]], self.K), flip, size)

    def _warped(self, affine: Array, flip: Array, size: tuple[int, int]) -> "Camera":
        """affine @ K = K' R with K' upper triangular and R about the optical axis, mirrored where flip is -1."""
        product = affine @ self.K
        single = isinstance(product, np.ndarray) and product.ndim == 2
        upper = product[:2].ravel().tolist() if single else [product[..., i, j] for i in (0, 1) for j in (0, 1, 2)]
        a, b, x, c, d, y = upper
        fy = (c**2 + d**2) ** 0.5
        sin, cos = c / fy, d / fy
        fx, skew = flip * (a * cos - b * sin), a * sin + b * cos
        zero, one = 0 * fx, 0 * fx + 1
        K = _matrix([[fx, skew, x], [zero, fy, y], [zero, zero, one]], self.K)
        turn = _matrix([[flip * cos, -flip * sin, zero], [sin, cos, zero], [zero, zero, one]], self.K)
        return Camera(K, size, affine @ self.warp, turn @ self.R_crop_camera)

    # Between this Camera's picture and frame and those it was cut from

    @property
    def mirrored(self) -> Bool[Array, "*batch"]:
        """Whether this Camera's frame is mirrored: a left hand in the world is a right one in it."""
        R = self.R_crop_camera
        return R[..., 0, 0] * R[..., 1, 1] - R[..., 0, 1] * R[..., 1, 0] < 0

    def from_picture(self, uv: Float[Array, "*#batch n 2"]) -> Float[Array, "... n 2"]:
        """Pixels of the original picture as pixels of this one, (..., N, 2)."""
        xp = namespace(self.K, uv)
        return uv @ xp.matrix_transpose(self.warp[..., :2, :2]) + self.warp[..., None, :2, 2]

    def to_picture(self, uv: Float[Array, "*#batch n 2"]) -> Float[Array, "... n 2"]:
        """Pixels of this picture as pixels of the original one, (..., N, 2)."""
        a, b, c, d = (self.warp[..., i, j][..., None] for i in (0, 1) for j in (0, 1))
        offset = uv - self.warp[..., None, :2, 2]
        x, y = offset[..., 0], offset[..., 1]
        return namespace(self.K, uv).stack([d * x - b * y, a * y - c * x], axis=-1) / (a * d - b * c)[..., None]

    def from_camera(self, points: Float[Array, "*#batch n 3"]) -> Float[Array, "... n 3"]:
        """Points (..., N, 3) of the original camera's frame, in this Camera's own."""
        return points @ namespace(self.K, points).matrix_transpose(self.R_crop_camera)

    def to_camera(self, points: Float[Array, "*#batch n 3"]) -> Float[Array, "... n 3"]:
        """Points (..., N, 3) of this Camera's own frame, in the original camera's."""
        return points @ self.R_crop_camera

    def pose_from_camera(self, T_camera_hand: Float[Array, "*#batch 4 4"]) -> Float[Array, "... 4 4"]:
        """A hand's (or object's) pose in this Camera's own frame.

        Args:
            T_camera_hand: (..., 4, 4) proper.

        Returns:
            (..., 4, 4) T_crop_hand, also proper: where the crop is mirrored, the side of the hand and the
            direction of its x axis change.
        """
        return self._turned_pose(self.R_crop_camera, T_camera_hand)

    def pose_to_camera(self, T_crop_hand: Float[Array, "*#batch 4 4"]) -> Float[Array, "... 4 4"]:
        """The inverse of pose_from_camera."""
        return self._turned_pose(namespace(self.K).matrix_transpose(self.R_crop_camera), T_crop_hand)

    def _turned_pose(self, turn: Array, pose: Array) -> Array:
        xp = namespace(self.K, pose)
        flip = xp.astype(~self.mirrored, pose.dtype)[..., None, None] * 2 - 1
        upper = turn @ pose[..., :3, :]
        upper = xp.concat([flip * upper[..., :1], upper[..., 1:]], axis=-1)
        return xp.concat([upper, xp.broadcast_to(pose[..., 3:, :], (*upper.shape[:-2], 1, 4))], axis=-2)

    # 2.5D: pixels, and depths relative to the root in lengths of one bone

    def to_25d(
        self, points: Float[Array, "*batch joints 3"], bone: tuple[int, int] = (0, 9), root: int = 0
    ) -> tuple[Float[Array, "... joints 2"], Float[Array, "*batch joints"], Float[Array, "*batch"]]:
        """Pixels, scale-normalised relative depths, and the scale that was divided out.

        Args:
            points: (..., J, 3) in this Camera's own frame.
            bone: the two joints whose distance is the scale.
            root: the joint whose depth is subtracted.

        Returns:
            uv (..., J, 2) pixels; relative depth (..., J) = (z - z_root) / scale; scale (...) in the points' unit.
        """
        xp = namespace(self.K, points)
        scale = xp.sqrt(xp.sum((points[..., bone[1], :] - points[..., bone[0], :]) ** 2, axis=-1))
        depth = points[..., 2]
        return self.project(points), (depth - depth[..., root : root + 1]) / scale[..., None], scale

    def lift_25d(
        self,
        uv: Float[Array, "*batch joints 2"],
        relative_depth: Float[Array, "*batch joints"],
        scale: Array = 1.0,
        bone: tuple[int, int] = (0, 9),
        expected: Array | None = None,
    ) -> tuple[Float[Array, "... joints 3"], RootDepth]:
        """The 3D points of a 2.5D hand.

        Args:
            uv: (..., J, 2) pixels of this picture.
            relative_depth: (..., J) depth behind the root in lengths of the bone; never rescale it for a crop.
            scale: (...) length of the bone; 1 gives scale-normalised points.
            bone: the two joints whose distance is the scale; the same as in to_25d.
            expected: (...) root depth in the unit of scale, such as the last frame's. The closer of the two solutions
                is taken; without it the far one, which is correct unless the bone is nearly parallel to its ray.

        Returns:
            points (..., J, 3) in this Camera's own frame, and RootDepth with both solutions in lengths of the
            bone and the ambiguity flag.
        """
        xp = namespace(self.K, uv, relative_depth)
        rays = self.rays(uv)
        roots = root_depth(rays, relative_depth, bone)
        depth = roots.far
        scale = array_like(scale, depth)
        if expected is not None:
            wanted = expected / scale
            depth = xp.where(xp.abs(roots.near - wanted) < xp.abs(roots.far - wanted), roots.near, roots.far)
        return scale[..., None, None] * (relative_depth + depth[..., None])[..., None] * rays, roots
