"""Pictures of hands: shaded meshes, sheets of several views and skeletons over photographs, without a GPU."""

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
