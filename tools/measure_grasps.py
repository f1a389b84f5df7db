"""How well the preset `grasp` grasps: python tools/measure_grasps.py [--grasps 1000] [--pictures 50]

Penetration and contacts of as many grasps, drawn as the preset draws them: everyday objects, hands of all shapes. And
of some pictures how far their masks agree with the hand and the object rendered again from the label alone, on the CPU.
"""

import argparse
import time
from collections import Counter

import numpy as np

from knuckle.synth.agreement import agreement
from knuckle.synth.generate import Generator, Settings
from knuckle.synth.handling import Handler
from knuckle.synth.objects import everyday_things
from knuckle.synth.touch import MAX_PENETRATION, MIN_CONTACTS, Touch


def measured(handler: Handler, count: int) -> list[tuple[str, Touch]]:
    """The category and the touch of each of so many grasps."""
    found = []
    for number in range(count):
        thing, _, touch, _, _ = handler.held(np.random.default_rng([7, number]), number)
        found.append((thing.category, touch))
    return found


def print_grasps(found: list[tuple[str, Touch]]) -> None:
    penetration, deepest = (
        1e3 * np.array([getattr(touch, name) for _, touch in found]) for name in ("penetration", "deepest")
    )
    contacts = np.array([len(touch.parts) for _, touch in found])
    shallow = penetration <= 1e3 * MAX_PENETRATION
    print(
        f"95th percentile of the penetration, mm: median {np.median(penetration):.2f}, worst {penetration.max():.2f};"
    )
    print(f"    at most {1e3 * MAX_PENETRATION:.0f} mm in {100 * shallow.mean():.1f} %")
    print(
        f"deepest penetration, mm: median {np.median(deepest):.2f}, 95 % below {np.percentile(deepest, 95):.2f}, ",
        end="",
    )
    print(f"worst {deepest.max():.2f}")
    print(f"parts of the hand that touch: median {np.median(contacts):.0f}, fewest {contacts.min()}; at least ", end="")
    print(f"{MIN_CONTACTS} in {100 * (contacts >= MIN_CONTACTS).mean():.1f} %")
    print(f"on two sides: {100 * np.mean([touch.opposed for _, touch in found]):.1f} %")
    print(f"all of it: {100 * np.mean([touch.holds for _, touch in found]):.1f} %; categories: ", end="")
    print(", ".join(f"{name} {count}" for name, count in sorted(Counter(category for category, _ in found).items())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grasps", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--preset", default="grasp", choices=("grasp", "hop"))
    options = parser.parse_args()
    generator = Generator(Settings(preset=options.preset, size=256, seed=1))
    handler = generator.handler
    assert handler is not None
    started = time.process_time()
    found = measured(handler, options.grasps)
    print(
        f"{options.grasps} grasps, {1e3 * (time.process_time() - started) / options.grasps:.0f} ms of process time each"
    )
    print_grasps(found)
    things = {thing.name: thing for thing in everyday_things()}
    rows = []
    for number in range(options.pictures):
        picture = generator.picture(number * handler.plan.frames + (11 * number) % handler.plan.frames)
        if picture.label["hands"]:
            masks = picture.visible, picture.complete
            rows.append(agreement(picture.label, *masks, generator.composer.model, things))
    generator.close()
    if rows:
        hand, order = (np.array([getattr(row, name) for row in rows]) for name in ("hand", "order"))
        print(
            f"{len(rows)} pictures rendered again from their labels: overlap of the whole hand's mask {hand.mean():.4f}"
        )
        print(
            f"    (worst {hand.min():.4f}); hand or object in front: the same in {100 * order.mean():.2f} % of pixels"
        )
        print(f"    (worst {100 * order.min():.2f} %)")


if __name__ == "__main__":
    main()
