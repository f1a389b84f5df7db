"""The textures of the hand's skin, baked once with OpenGL from the mesh at rest."""

from typing import Any

import numpy as np

from knuckle.synth.features import feature_map, noise_map
from knuckle.synth.skin import reflectance_table
from knuckle.synth.surface import HandSurface

FEATURE_SIZE = 512


def skin_textures(ctx: Any, surface: HandSurface, indices: Any) -> dict[str, Any]:
    """The textures by the name of their sampler: features, noise, pigments.

    Args:
        ctx: the OpenGL context. surface: the hand's mesh. indices: buffer of its triangles.
    """
    rest, filled, normal, nail = _bake(ctx, surface, indices)
    features = ctx.texture((FEATURE_SIZE, FEATURE_SIZE), 4, feature_map(surface, rest, filled, normal, nail).tobytes())
    grain = noise_map()
    noise = ctx.texture(grain.shape[1::-1], 4, grain.tobytes())
    for texture in (features, noise):
        texture.build_mipmaps()
        texture.filter = (ctx.LINEAR_MIPMAP_NEAREST, ctx.LINEAR)
    table = np.ascontiguousarray(reflectance_table(), np.float32)
    pigments = ctx.texture(table.shape[1::-1], 3, table.tobytes(), dtype="f4")
    pigments.repeat_x = pigments.repeat_y = False
    return {"features": features, "noise": noise, "pigments": pigments}


def _bake(ctx: Any, surface: HandSurface, indices: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each texel: rest position (N, N, 3), whether the mesh covers it (N, N), normal (N, N, 3), and whether it
    is a nail's (N, N)."""
    program: Any = ctx.program(
        vertex_shader="""#version 330
        in vec2 uv; in vec3 rest; in vec3 normal; out vec3 at; out vec3 n;
        void main() { at = rest; n = normal; gl_Position = vec4(uv * 2.0 - 1.0, 0.0, 1.0); }""",
        fragment_shader="""#version 330
        in vec3 at; in vec3 n; layout(location = 0) out vec4 where; layout(location = 1) out vec4 facing;
        void main() { where = vec4(at, 1.0); facing = vec4(normalize(n), 1.0); }""",
    )
    normals = surface.normals(surface.rest, False)[surface.corner_vertex]
    data = np.column_stack([surface.corner_uv, surface.corner_rest, normals]).astype(np.float32)
    buffer = ctx.buffer(data.tobytes())
    array = ctx.vertex_array(program, [(buffer, "2f 3f 3f", "uv", "rest", "normal")], indices)
    size = (FEATURE_SIZE, FEATURE_SIZE)
    target = ctx.framebuffer([ctx.texture(size, 4, dtype="f4") for _ in range(2)])
    target.use()
    target.clear()
    ctx.disable(ctx.DEPTH_TEST | ctx.CULL_FACE)
    array.render()
    where, facing = (_read_floats(target, i) for i in range(2))
    nails = [i for i, name in enumerate(surface.part_names) if name.endswith("_nail")]
    faces = surface.triangles[np.isin(surface.face_part, nails)]
    target.clear()
    if len(faces):
        only = ctx.buffer(faces.tobytes())
        part = ctx.vertex_array(program, [(buffer, "2f 3f 3f", "uv", "rest", "normal")], only)
        part.render()
        part.release()
        only.release()
    nail = _read_floats(target, 0)[..., 3] > 0
    for resource in (array, buffer, target, program):
        resource.release()
    return where[..., :3], where[..., 3] > 0, facing[..., :3], nail


def _read_floats(target: Any, attachment: int) -> np.ndarray:
    data = target.read(components=4, attachment=attachment, dtype="f4")
    return np.frombuffer(data, np.float32).reshape(FEATURE_SIZE, FEATURE_SIZE, 4)
