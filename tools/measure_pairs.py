"""Penetration of the two hands of the preset `two-hands`, measured on their meshes.

    python tools/measure_pairs.py [--pairs 300] [--seed 0]

The depth of a pair is that of the deepest vertex of one hand below the surface of the other, forearms included: inside
by the winding number, and the exact distance to the nearest triangle. Independent of the approximation by which the
generator separates them. The closest distance of the two surfaces is measured from vertex to vertex.
"""

import argparse
from collections import defaultdict

import numpy as np

from knuckle.handmodel import HandModel
from knuckle.handmodel.contact import mesh_distances, winding_numbers
from knuckle.synth.generate import Generator, Settings
from knuckle.synth.scene import SceneHand

# Metres. A vertex that far inside has others around it that lie less deep: where these do, the wider reach is searched.
_REACHES = (0.008, 0.03)
_DEEP = 0.003


def depth_in(hand: SceneHand, other: SceneHand, model: HandModel) -> tuple[float, float]:
    """How deep the deepest vertex of a hand lies in the other, and the distance of the closest vertices, metres."""
    points, vertices = hand.vertices_camera, other.vertices_camera
    faces = np.asarray(model.faces_of(other.side))  # type: ignore[arg-type]
    nearest = np.concatenate(
        [np.linalg.norm(part[:, None] - vertices, axis=-1).min(1) for part in np.array_split(points, 8)]
    )
    depth = 0.0
    for reach in _REACHES:
        near = points[nearest < reach]
        inside = near[winding_numbers(near, vertices, faces) > 0.5]
        depth = float(mesh_distances(inside, vertices, faces).max()) if len(inside) else 0.0
        if depth < _DEEP:
            break
    return depth, float(nearest.min())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = Generator(Settings("two-hands", size=64, seed=arguments.seed))
    composer = generator.composer
    depths, gaps = [], []
    kinds: dict[str, list[float]] = defaultdict(list)
    for index in range(arguments.pairs):
        rng = np.random.default_rng([arguments.seed, index])
        first, second = composer.touching_hands(rng, np.array([0.0, 0.0, 0.6]), 0.0)
        both = [depth_in(first, second, composer.model), depth_in(second, first, composer.model)]
        depths.append(max(depth for depth, _ in both))
        gaps.append(min(gap for _, gap in both))
        kinds[first.pose].append(depths[-1])
    generator.close()
    depth_mm, gap_mm = 1e3 * np.array(depths), 1e3 * np.array(gaps)
    print(f"{len(depth_mm)} pairs of {len(kinds)} kinds")
    print(
        f"penetration: mean {depth_mm.mean():.2f} mm, 95th percentile {np.percentile(depth_mm, 95):.2f}, "
        f"maximum {depth_mm.max():.2f}; over 3 mm: {int((depth_mm > 3).sum())}"
    )
    print(f"closest vertices: median {np.median(gap_mm):.1f} mm; farther apart than 10 mm: {(gap_mm > 10).mean():.0%}")
    for kind, values in sorted(kinds.items(), key=lambda item: -max(item[1])):
        print(f"  {1e3 * max(values):5.2f} mm at most in {len(values):3d}  {kind}")


if __name__ == "__main__":
    main()
