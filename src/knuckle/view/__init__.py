"""Pictures of hands: shaded meshes, four-sided sheets and skeletons over photographs, without a graphics card."""

from knuckle.view.bones import draw_box, draw_skeleton
from knuckle.view.mesh import blend, overlay_mesh, render_mesh
from knuckle.view.sheet import render_sheet, render_view, view_camera

__all__ = [
    "blend",
    "draw_box",
    "draw_skeleton",
    "overlay_mesh",
    "render_mesh",
    "render_sheet",
    "render_view",
    "view_camera",
]
