"""Save hands as 3D models, for Blender, a game engine or a 3D printer.

    python examples/mesh.py [PICTURE] [OUT]

The .glb has skinned meshes with all bones, the .obj plain triangles; the arrays are NumPy's.
"""

import sys
from pathlib import Path

import knuckle


def main(picture: str = "examples/hand.jpg", out: str = "out") -> None:
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    hands = knuckle.predict(picture)
    for suffix in (".glb", ".obj"):
        print(f"wrote {hands.save(folder / f'hands{suffix}')}")
    for hand in hands:
        low, high = hand.vertices_camera.min(axis=0), hand.vertices_camera.max(axis=0)
        size = " x ".join(f"{100 * length:.0f}" for length in high - low)
        print(f"{hand.side}: {len(hand.vertices_camera)} vertices, {len(hand.faces)} triangles")
        print(f"  {size} cm with the forearm")


if __name__ == "__main__":
    main(*sys.argv[1:])
