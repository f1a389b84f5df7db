"""Systems by the names used on the command line and in checkpoints."""

from collections.abc import Mapping
from typing import Any

from knuckle.systems.detector import Detector, DetectorConfig
from knuckle.systems.shipped import Shipped, ShippedConfig
from knuckle.systems.system import System


def choose_system(name: str, config: Mapping[str, Any]) -> System:
    """The system of that name with these entries of its configuration; lists, as JSON has them, become tuples.

    Raises:
        ValueError: there is none of that name.
        TypeError: the configuration has an entry that the system does not know.
    """
    entries: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    if name == "shipped":
        return Shipped(ShippedConfig(**entries))
    if name == "detector":
        return Detector(DetectorConfig(**entries))
    raise ValueError(f'system must be "shipped" or "detector" but got "{name}"')
