"""OpenGL programs from the files in shaders/."""

from importlib import resources
from typing import Any

# The texture units of all programs' samplers.
UNITS = {"features": 0, "noise": 1, "pigments": 2, "shadow": 3}


def open_program(ctx: Any, name: str, *defines: str) -> Any:
    """The program of shaders/NAME.vert and NAME.frag, its samplers bound to UNITS.

    Args:
        ctx: the OpenGL context. name: of the files.
        defines: what the fragment shader is compiled for, as a software renderer runs all branches: materials of a
            body; PAINTED leaves out the light, and gives what a path tracer takes of a surface.
    """
    fragment = source(f"{name}.frag").replace("#version 330", "\n".join(["#version 330", *map(_define, defines)]), 1)
    program = ctx.program(vertex_shader=source(f"{name}.vert"), fragment_shader=fragment)
    for sampler, unit in UNITS.items():
        set_uniform(program, sampler, unit)
    return program


def source(name: str) -> str:
    """A file of shaders/, with body_cut.glsl where it is included."""
    folder = resources.files("knuckle.synth") / "shaders"
    return (folder / name).read_text().replace('#include "body_cut.glsl"', (folder / "body_cut.glsl").read_text())


def set_uniform(program: Any, name: str, value: Any) -> None:
    """Sets a uniform, unless the program has been compiled without it."""
    if name in program:
        program[name] = value


def _define(name: str) -> str:
    return f"#define {name}"
