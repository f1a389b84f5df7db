"""Software rendering of a shaded mesh, without a GPU."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from knuckle.camera import Camera
from knuckle.geometry.surface import vertex_normals
from knuckle.view.raster import Raster, rasterise

SKIN = (0.90, 0.70, 0.59)
INSIDE = (0.55, 0.05, 0.10)
_SUPERSAMPLE = 2
# Pixels along the longer side of a mesh in an overlay; what is larger is rendered at this size and enlarged.
_MAX_OVERLAY = 800


def render_mesh(
    vertices_camera: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    camera: Camera,
    size: tuple[int, int] | None = None,
    *,
    colors: Float[np.ndarray, "N 3"] | tuple[float, float, float] = SKIN,
    supersample: int = _SUPERSAMPLE,
) -> UInt8[np.ndarray, "h w 4"]:
    """Render a mesh as the camera sees it, smoothly shaded, on a transparent background.

    Args:
        vertices_camera: (V, 3) in the camera frame (x right, y down, z forward), metres.
        faces: (F, 3) vertex indices, wound so that normals point outwards.
        camera: projects the vertices; also gives the size where `size` is None.
        size: (width, height) in pixels.
        colors: one RGB colour in 0..1, or one for each face (F, 3), or one for each vertex (V, 3).
        supersample: antialiasing: the picture is rendered this many times larger and averaged down.

    Returns:
        (h, w, 4) uint8 RGBA, straight (not premultiplied) alpha.

    Raises:
        ValueError: no size was given and the camera has none; the colours match neither faces nor vertices in number.

    Note:
        Back faces are dark red: this shows holes, flipped faces and a left hand with the winding of a right one. Faces
        with a vertex behind the camera are left out.
    """
    width, height = _picture_size(camera, size)
    points = np.asarray(camera.project(vertices_camera), np.float64)
    # Pixel centres are at integers, so a finer grid is shifted by half a pixel before and after scaling.
    fine = (points + 0.5) * supersample - 0.5
    seen = rasterise(fine, np.asarray(vertices_camera[:, 2]), faces, (width * supersample, height * supersample))
    face_colors, vertex_colors = _split_colors(colors, len(faces), len(vertices_camera))
    shaded = _shade(np.asarray(vertices_camera, np.float64), faces, seen, face_colors, vertex_colors)
    canvas = np.zeros((height * supersample, width * supersample, 4), np.float32)
    canvas[seen.rows, seen.columns, :3] = shaded
    canvas[seen.rows, seen.columns, 3] = 1.0
    return _to_bytes(_average_down(canvas, supersample))


def blend(
    image: UInt8[np.ndarray, "h w 3"], picture: UInt8[np.ndarray, "h w 4"], alpha: float = 1.0
) -> UInt8[np.ndarray, "h w 3"]:
    """Composite an RGBA picture over an RGB image of the same size; `alpha` in 0..1 scales its opacity."""
    cover = picture[..., 3:].astype(np.float32) * (alpha / 255.0)
    mixed = image.astype(np.float32) * (1.0 - cover) + picture[..., :3].astype(np.float32) * cover
    return np.rint(mixed).astype(np.uint8)


def overlay_mesh(
    image: UInt8[np.ndarray, "h w 3"],
    vertices_camera: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    camera: Camera,
    *,
    alpha: float = 0.7,
    colors: Float[np.ndarray, "N 3"] | tuple[float, float, float] = SKIN,
) -> UInt8[np.ndarray, "h w 3"]:
    """Render a mesh over the picture it was predicted from; arguments as in `render_mesh`, `alpha` as in `blend`.

    Only the part of the picture with the mesh in it is rendered, and no finer than 800 pixels, which are smooth enough
    for skin: a picture of 12 megapixels takes hardly longer than a small one.
    """
    height, width = image.shape[:2]
    drawn = image.copy()
    seen = np.asarray(camera.project(vertices_camera))[np.asarray(vertices_camera)[:, 2] > 0]
    if len(seen) == 0:
        return drawn
    # Vertices near the lens are projected farther out than integers reach.
    limit = np.array([width, height])
    x0, y0 = np.clip(np.floor(seen.min(0)), 0, limit).astype(int)
    x1, y1 = np.clip(np.ceil(seen.max(0)) + 1, 0, limit).astype(int)
    if x0 >= x1 or y0 >= y1:
        return drawn
    window = (int(x1 - x0), int(y1 - y0))
    shrink = min(1.0, _MAX_OVERLAY / max(window))
    size = (max(1, round(window[0] * shrink)), max(1, round(window[1] * shrink)))
    part = camera.crop([x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5], size)
    picture = render_mesh(vertices_camera, faces, part, size, colors=colors)
    if size != window:
        picture = _enlarged(picture, window)
    drawn[y0:y1, x0:x1] = blend(drawn[y0:y1, x0:x1], picture, alpha)
    return drawn


def _enlarged(picture: UInt8[np.ndarray, "h w 4"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 4"]:
    """At another (width, height); colours are weighted by their opacity, so that edges are not darkened."""
    opacity = picture[..., 3:] / np.float32(255)
    weighted = np.concatenate([picture[..., :3] * opacity, 255 * opacity], axis=-1)
    large = np.asarray(cv2.resize(weighted, size, interpolation=cv2.INTER_LINEAR))
    large[..., :3] /= np.maximum(large[..., 3:] / 255, 1e-3)
    return np.rint(np.clip(large, 0, 255)).astype(np.uint8)


def _picture_size(camera: Camera, size: tuple[int, int] | None) -> tuple[int, int]:
    size = camera.size if size is None else size
    if size is None:
        raise ValueError("size must be given because the camera has none; pass size=(width, height)")
    return int(size[0]), int(size[1])


def _split_colors(
    colors: Float[np.ndarray, "N 3"] | tuple[float, float, float], face_count: int, vertex_count: int
) -> tuple[Float[np.ndarray, "F 3"] | None, Float[np.ndarray, "V 3"] | None]:
    """(face colours, None) or (None, vertex colours), depending on the number of rows."""
    table = np.asarray(colors, np.float64)
    if table.ndim == 1:
        return np.broadcast_to(table, (face_count, 3)), None
    if len(table) == face_count:
        return table, None
    if len(table) == vertex_count:
        return None, table
    raise ValueError(
        f"colors must have one row, {face_count} (faces) or {vertex_count} (vertices) but got {len(table)}"
    )


def _shade(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    seen: Raster,
    face_colors: Float[np.ndarray, "F 3"] | None,
    vertex_colors: Float[np.ndarray, "V 3"] | None,
) -> Float[np.ndarray, "N 3"]:
    """RGB in 0..1 at every covered pixel: a key light from the upper left, a weak fill light, a faint highlight.

    Shading is in linear intensities; square and square root approximate the display's gamma, for speed.
    """
    to_eye = -vertices / np.linalg.norm(vertices, axis=-1, keepdims=True)
    columns = [vertex_normals(vertices, faces), to_eye] + ([] if vertex_colors is None else [vertex_colors**2])
    table = np.concatenate(columns, axis=-1).astype(np.float32)
    corner = faces.astype(np.int64)[seen.face]
    weights = seen.weights.astype(np.float32)
    mixed = np.zeros((len(corner), table.shape[1]), np.float32)
    for k in range(3):
        mixed += table[corner[:, k]] * weights[:, k, None]
    normal, eye = _unit_rows(mixed[:, :3]), _unit_rows(mixed[:, 3:6])
    base = (face_colors**2).astype(np.float32)[seen.face] if face_colors is not None else mixed[:, 6:]

    corners = vertices[faces.astype(np.int64)]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    behind = ((outward * corners[:, 0]).sum(axis=-1) > 0)[seen.face]
    normal[behind] *= -1
    base[behind] = np.square(INSIDE)

    key, fill = _unit((-0.45, -0.65, -0.6)), _unit((0.7, 0.5, -0.5))
    lit = 0.30 + 0.70 * np.clip(normal @ key, 0, None) + 0.22 * np.clip(normal @ fill, 0, None)
    # Darkening at grazing angles gives soft outlines where one finger passes in front of another.
    lit *= 0.55 + 0.45 * np.sqrt(np.clip(np.einsum("nc,nc->n", normal, eye), 0, 1))
    sheen = np.clip(np.einsum("nc,nc->n", normal, _unit_rows(key + eye)), 0, 1)
    for _ in range(4):
        sheen = sheen * sheen
    return np.sqrt(np.clip(base * lit[:, None] + 0.10 * sheen[:, None], 0, 1))


def _unit_rows(vectors: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    return vectors / (np.sqrt(np.einsum("nc,nc->n", vectors, vectors))[:, None] + 1e-12)


def _unit(direction: tuple[float, float, float]) -> Float[np.ndarray, "3"]:
    vector = np.asarray(direction, np.float32)
    return vector / np.linalg.norm(vector)


def _average_down(canvas: Float[np.ndarray, "H W 4"], factor: int) -> Float[np.ndarray, "h w 4"]:
    """Block means; colour is averaged over the covered part of a block only, so that edges are not darkened."""
    if factor == 1:
        return canvas
    size = (canvas.shape[1] // factor, canvas.shape[0] // factor)
    small = np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA))
    small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
    return small


def _to_bytes(canvas: Float[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w c"]:
    return np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
