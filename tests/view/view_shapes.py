"""Closed meshes with known answers to draw."""

import numpy as np


def sphere(rings: int = 24, radius: float = 0.05, centre=(0.0, 0.0, 0.0)):
    """(vertices, faces) of a sphere, wound outwards."""
    polar = np.linspace(0, np.pi, rings + 1)[1:-1]
    turn = np.arange(2 * rings) * np.pi / rings
    x, y = np.outer(np.sin(polar), np.cos(turn)), np.outer(np.sin(polar), np.sin(turn))
    z = np.broadcast_to(np.cos(polar)[:, None], x.shape)
    ring = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    vertices = np.concatenate([ring, [[0, 0, 1.0], [0, 0, -1.0]]])
    across, north, south = 2 * rings, len(ring), len(ring) + 1
    faces = []
    for i in range(rings - 2):
        for j in range(across):
            a, b = i * across + j, i * across + (j + 1) % across
            faces += [(a, a + across, b), (b, a + across, b + across)]
    last = (rings - 2) * across
    for j in range(across):
        faces += [(north, j, (j + 1) % across), (south, last + (j + 1) % across, last + j)]
    return vertices * radius + np.asarray(centre), np.asarray(faces)
