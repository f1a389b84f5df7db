"""Builds the bank of grasps, src/knuckle/synth/data/grasps.npz: python tools/build_grasps.py

For every object up to six grasps of the average hand, and for each of the ten subjects and thirty objects of the
preset `hop` two grasps, each closed again on that subject's hand. Every grasp is measured before it is kept. The same
bytes on every run with the same NumPy.
"""

import argparse
from pathlib import Path

import numpy as np

from knuckle.files import atomic_write
from knuckle.handmodel import HandModel
from knuckle.synth.bank import AVERAGE, GraspBank, find_grasps, fit_to, hop_things, subjects
from knuckle.synth.generate import surface_of
from knuckle.synth.grasp import Grasp, GraspSearch
from knuckle.synth.objects import everyday_things
from knuckle.synth.things import Thing

OUT = Path(__file__).parent.parent / "src/knuckle/synth/data/grasps.npz"
PER_OBJECT, PER_SUBJECT = 6, 2


def of_subject(search: GraspSearch, thing: Thing, grasps: list[Grasp], number: int) -> list[Grasp]:
    """Two grasps of a subject, of those of the average hand, beginning with others for each subject."""
    shape, found = subjects()[number].shape, []
    for i in range(len(grasps)):
        grasp, touch = fit_to(search, thing, grasps[(PER_SUBJECT * number + i) % len(grasps)], shape)
        if touch.holds:
            found.append(grasp)
        if len(found) == PER_SUBJECT:
            return found
    more = find_grasps(search, thing, shape, tries=3, keep=PER_SUBJECT - len(found), seed=(number + 1,))
    return found + [grasp for grasp, _ in more]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--tries", type=int, default=2, help="at each hold of an object")
    parser.add_argument("--only", nargs="*", help="build those of these objects alone, and keep the others as they are")
    options = parser.parse_args()
    model = HandModel.open()
    search = GraspSearch(model, surface_of(model))
    kept: dict[tuple[str, int], tuple[Grasp, ...]] = {}
    if options.only:
        kept = {key: found for key, found in GraspBank.load().grasps.items() if key[0] not in options.only}
    of_hop = {thing.name for thing in hop_things()}
    for thing in everyday_things():
        if options.only and thing.name not in options.only:
            continue
        average = np.zeros(len(model.shape_limits))
        found = find_grasps(search, thing, average, options.tries, PER_OBJECT)
        kept[thing.name, AVERAGE] = tuple(grasp for grasp, _ in found)
        counts = ""
        if thing.name in of_hop:
            for number in range(len(subjects())):
                kept[thing.name, number] = tuple(of_subject(search, thing, [g for g, _ in found], number))
            counts = ", of the subjects " + " ".join(str(len(kept[thing.name, n])) for n in range(len(subjects())))
        deepest = max((touch.penetration for _, touch in found), default=0.0)
        holds = sorted({grasp.hold for grasp, _ in found})
        print(
            f"{thing.name}: {len(found)} grasps, holds {holds}, at most {1000 * deepest:.1f} mm deep{counts}",
            flush=True,
        )
    data = GraspBank(kept).saved()
    options.out.parent.mkdir(exist_ok=True)
    with atomic_write(options.out) as path:
        path.write_bytes(data)
    print(f"{options.out}: {sum(map(len, kept.values()))} grasps, {len(data)} bytes")


if __name__ == "__main__":
    main()
