"""Stage 3: bones, joints and skinning weights, from the source's rig for games.

The source's upper arm and forearm are one bone each. Here each is several, which share the twist about its axis, so
that skin does not wring: UPPER_ARM from the shoulder (no twist) to the elbow, FOREARM from the elbow to the wrist.
"""

import json
import zipfile

import numpy as np

from hand_asset.source import Body, group_centre, read_member

UPPER_ARM, FOREARM = 3, 4
SPINE = ("pelvis", "spine_01", "spine_02", "spine_03", "neck", "head")
SIDES = ("right", "left")
# The free hand's wrist lies this far beyond the source's, metres.
WRIST_SHIFT = 0.0095


def bone_names() -> list[str]:
    """The spine's bones, then the limbs' of the right and of the left side."""
    limb = [
        "clavicle",
        *(f"upper_arm_{k}" for k in range(UPPER_ARM)),
        *(f"forearm_{k}" for k in range(FOREARM)),
        "thigh",
        "calf",
        "foot",
    ]
    return [*SPINE, *(f"{side}_{name}" for side in SIDES for name in limb)]


JOINTS: dict[str, str] = {
    "pelvis": "joint-pelvis",
    "spine_01": "joint-spine-4",
    "spine_02": "joint-spine-3",
    "spine_03": "joint-spine-2",
    "neck": "joint-neck",
    "head": "joint-head",
    "crown": "joint-head-2",
    "mouth": "joint-mouth",
    **{
        f"{side}_{name}": f"joint-{side[0]}-{marker}"
        for side in SIDES
        for name, marker in {
            "clavicle": "clavicle",
            "shoulder": "shoulder",
            "elbow": "elbow",
            "wrist": "hand",
            "thigh": "upper-leg",
            "knee": "knee",
            "ankle": "ankle",
            "toes": "foot-1",
            "eye": "eye",
            "index_base": "finger-2-1",
            "little_base": "finger-5-1",
        }.items()
    },
}


def source_joints(body: Body, vertices: np.ndarray) -> np.ndarray:
    """(J, 3) the source's joints by JOINTS, in the unit of `vertices`."""
    return np.stack([group_centre(body, vertices, marker) for marker in JOINTS.values()])


def skinning_weights(wheel: zipfile.ZipFile, vertices: np.ndarray, joints: dict[str, np.ndarray]) -> np.ndarray:
    """(N, B) weights of bone_names at the source's vertices, rows of sum one.

    Args:
        wheel: the source. vertices: (N, 3) and joints: by name, of the average adult, in one unit.
    """
    stored = json.loads(read_member(wheel, "rigs/standard/weights.game_engine.json"))["weights"]
    names = bone_names()
    weights = np.zeros((len(vertices), len(names)))

    def of(bones: list[str]) -> np.ndarray:
        total = np.zeros(len(vertices))
        for bone in bones:
            for vertex, value in stored[bone]:
                total[int(vertex)] += value
        return total

    for name in SPINE:
        weights[:, names.index(name)] = of(["neck_01" if name == "neck" else name])
    for side in SIDES:
        s = side[0]
        for name, bones in {
            "clavicle": [f"clavicle_{s}"],
            "thigh": [f"thigh_{s}"],
            "calf": [f"calf_{s}"],
            "foot": [f"foot_{s}", f"ball_{s}"],
        }.items():
            weights[:, names.index(f"{side}_{name}")] = of(bones)
        fingers = [f"{f}_0{k}_{s}" for f in ("thumb", "index", "middle", "ring", "pinky") for k in (1, 2, 3)]
        arm = {"upper_arm": (of([f"upperarm_{s}"]), UPPER_ARM, "shoulder", "elbow")}
        arm["forearm"] = (of([f"lowerarm_{s}", f"hand_{s}", *fingers]), FOREARM, "elbow", "wrist")
        for name, (total, count, start, end) in arm.items():
            shares = _along(vertices, joints[f"{side}_{start}"], joints[f"{side}_{end}"], count)
            first = names.index(f"{side}_{name}_0")
            weights[:, first : first + count] = total[:, None] * shares
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)


def _along(vertices: np.ndarray, start: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """(N, count) linear shares of knots at equal distances from start to end."""
    axis = end - start
    at = np.clip((vertices - start) @ axis / (axis @ axis), 0, 1) * (count - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(count)), 0)
