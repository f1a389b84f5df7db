"""The systems: one file each, with its configuration, network, losses, and how its examples are made.

`SYSTEMS` has them by the names that the command line, checkpoints and tables use. Adding one is a file and a line.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knuckle.systems.system import System

SYSTEMS = {
    "shipped": "knuckle.systems.shipped:Shipped",
    "detector": "knuckle.systems.detector:Detector",
    "biomechanical": "knuckle.systems.biomechanical:Biomechanical",
    "biomechanical-small": "knuckle.systems.biomechanical:SmallBiomechanical",
    "joint-groups": "knuckle.systems.joint_groups:JointGroups",
    "joint-groups-small": "knuckle.systems.joint_groups:SmallJointGroups",
    "lite-mesh": "knuckle.systems.lite_mesh:LiteMesh",
    "lite-mesh-small": "knuckle.systems.lite_mesh:SmallLiteMesh",
    "object-aware": "knuckle.systems.object_aware:ObjectAware",
    "object-aware-small": "knuckle.systems.object_aware:SmallObjectAware",
    "hand-object": "knuckle.systems.hand_object:HandObject",
    "hand-object-small": "knuckle.systems.hand_object:SmallHandObject",
    "ik": "knuckle.systems.ik:InverseKinematics",
}


def open_system(name: str, config: Any = None, settings: list[str] | None = None) -> "System":
    """The system of that name.

    Args:
        name: one of `SYSTEMS`.
        config: entries of its configuration as JSON has them, as a checkpoint holds them; defaults where None.
        settings: further ones as they are typed, `name=value`.

    Raises:
        ValueError: there is no such system, or no such entry.
    """
    if name not in SYSTEMS:
        raise ValueError(f"system must be one of {', '.join(SYSTEMS)} but got {name!r}")
    from knuckle.systems.config import from_json, with_settings

    module, _, cls = SYSTEMS[name].partition(":")
    kind = getattr(importlib.import_module(module), cls)
    made = from_json(kind().config, config or {}, f"{name}'s config")
    config = with_settings(made, settings or [])
    if not config.stages:
        raise ValueError(f"{name}'s config must have a stage at least but stages is empty")
    return kind(config)
