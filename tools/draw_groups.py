"""The groups that networks of `joint-groups` have learned, drawn on a hand, and how far they agree.

    python tools/draw_groups.py runs/a/step-0000600 runs/b/step-0000600 --out groups.png

Numbers of groups mean nothing: each network's are matched to the first one's, by the joints that they share. Agreement
is the adjusted Rand index of two networks: 1 where they have the same groups, 0 on average where joints are put into
groups of these sizes at random. It is Fig. 4 of Li et al. (AAAI 2021), and the question that the figure leaves open.
"""

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from knuckle.handmodel import HandModel
from knuckle.networks.joint_groups import JointGroupsNetwork
from knuckle.skeleton import BONES, JOINT_NAMES
from knuckle.systems.joint_groups import manual_groups
from knuckle.train.export import open_checkpoint

# As the paper's figure begins: red, green, blue.
_COLORS = ((214, 60, 50), (50, 160, 70), (50, 90, 210), (230, 160, 30), (140, 70, 180), (60, 180, 190), (120, 120, 120))
_SIDE = 320


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="folders step-... of `joint-groups`")
    parser.add_argument("--out", type=Path, help="PNG to write, a hand for each checkpoint")
    options = parser.parse_args(arguments)
    found = [learned_groups(folder) for folder in options.checkpoints]
    groups = [matched(one, found[0][0]) for one, _ in found]
    probabilities = [probability for _, probability in found]
    for line in report(groups, probabilities):
        print(line)
    if options.out is not None:
        # In the tables' folders: the row and the seed.
        names = ["/".join(folder.parts[-3:-1]) for folder in options.checkpoints]
        picture = np.hstack([draw(one, name) for one, name in zip(groups, names, strict=True)])
        cv2.imwrite(str(options.out), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        print(f"wrote {options.out}")


def learned_groups(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Each joint's most probable group, (21,), and its probability, (21,).

    Raises:
        ValueError: the folder is no checkpoint of `joint-groups`.
    """
    system, network = open_checkpoint(folder)
    if not isinstance(network, JointGroupsNetwork):
        raise ValueError(f"{folder} must be a checkpoint of joint-groups but is of {type(system).__name__}")
    probabilities = network.selector.probabilities().detach().numpy()
    return probabilities.argmax(1), probabilities.max(1)


def matched(groups: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The same groups, numbered as those of another that they share most joints with, the largest overlap first."""
    count = int(max(groups.max(), to.max())) + 1
    shared = np.array([[np.sum((groups == g) & (to == h)) for h in range(count)] for g in range(count)])
    numbers = np.zeros(count, int)
    for _ in range(count):
        g, h = np.unravel_index(int(shared.argmax()), shared.shape)
        numbers[g] = h
        shared[g], shared[:, h] = -1, -1
    return numbers[groups]


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Agreement of two partitions of the same things: 1 for equal ones, 0 on average for random ones of their sizes.

    Source: Hubert and Arabie, Comparing Partitions, 1985.
    """

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    table = np.array([[np.sum((one == g) & (other == h)) for h in np.unique(other)] for g in np.unique(one)])
    both, first, second = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    by_chance = first * second / pairs(np.array([len(one)]))
    most = 0.5 * (first + second)
    return 1.0 if most == by_chance else (both - by_chance) / (most - by_chance)


def report(groups: Sequence[np.ndarray], probabilities: Sequence[np.ndarray]) -> list[str]:
    """Lines: each group's joints, then how sure and how alike the networks are."""
    lines = []
    for number, (one, probability) in enumerate(zip(groups, probabilities, strict=True), start=1):
        lines.append(
            f"checkpoint {number}: probability of the groups {probability.mean():.2f}, least {probability.min():.2f}"
        )
        for group in np.unique(one):
            names = ", ".join(name for name, g in zip(JOINT_NAMES, one, strict=True) if g == group)
            lines.append(f"  {chr(ord('A') + int(group))}: {names}")
    manual = np.array(manual_groups())
    with_manual = ", ".join(f"{adjusted_rand(one, manual):.2f}" for one in groups)
    lines.append(f"agreement with thumb, index finger, rest: {with_manual}")
    if len(groups) > 1:
        each = [adjusted_rand(one, other) for one, other in combinations(groups, 2)]
        lines.append(
            f"agreement of two checkpoints: {np.mean(each):.2f} on average, {min(each):.2f} to {max(each):.2f}"
        )
    return lines


def draw(groups: np.ndarray, name: str) -> np.ndarray:
    """A spread hand on white with joints in their groups' colours, (320, 320, 3) RGB."""
    joints = np.asarray(HandModel.open().joints_rest)[:, :2]
    low, high = joints.min(0), joints.max(0)
    scale = 0.75 * _SIDE / float((high - low).max())
    # The hand's y axis points to the fingers, up in the picture.
    places = (joints - (low + high) / 2) * np.array([scale, -scale]) + _SIDE / 2
    ends = [tuple(int(v) for v in np.rint(place)) for place in places]
    picture = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    for parent, child in BONES:
        cv2.line(picture, ends[parent], ends[child], (190, 190, 190), 2, cv2.LINE_AA)
    for end, group in zip(ends, groups, strict=True):
        cv2.circle(picture, end, 6, _COLORS[int(group) % len(_COLORS)], -1, cv2.LINE_AA)
    cv2.putText(picture, name, (8, _SIDE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
    return picture


if __name__ == "__main__":
    main()
