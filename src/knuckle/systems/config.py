"""Configurations: frozen dataclasses of numbers, texts, tuples, mappings and further dataclasses, as JSON and back.

A configuration has a default for every entry, and an entry keeps the type of its default. So `--set crop.size=96` and
the config.json of a checkpoint are read by the same lines, and an unknown name is an error that lists the known ones.
"""

import json
import math
import sys
import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Config = TypeVar("Config")


def to_json(config: Any) -> Any:
    """Plain dicts, lists, numbers and texts."""
    return json.loads(json.dumps(asdict(config)))


def from_json(default: Config, data: Mapping[str, Any], where: str = "config") -> Config:
    """The default with the entries of `data` in place of its own.

    Args:
        default: an instance of a configuration.
        data: entries by name, nested as the configuration is; those left out keep their defaults.
        where: what the message calls it.

    Raises:
        ValueError: an entry does not exist, or cannot have that value.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must be a mapping of names to values but got {data!r}")
    hints = get_type_hints(type(default))
    known = [f.name for f in fields(default)]  # pyright: ignore[reportArgumentType]
    changed = {}
    for name, value in data.items():
        if name not in known:
            raise ValueError(f"{where} has no entry {name!r}; it has {', '.join(known)}")
        changed[name] = _converted(hints[name], getattr(default, name), value, f"{where}.{name}")
    try:
        return replace(default, **changed)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def with_settings(default: Config, settings: list[str]) -> Config:
    """The default with settings as they are typed: `crop.size=96`, `stages.0.batch=32`, `losses.bones=0`.

    Raises:
        ValueError: a setting has no "=", names no entry, or its value does not fit.
    """
    config = default
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise ValueError(f"a setting must look like name=value, such as crop.size=96, but got {setting!r}")
        config = _with_setting(config, path.strip().split("."), text.strip(), path.strip())
    return config


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """What differs between two configurations as JSON, a line each: `losses.bones was 10.0, is 0.0`."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for name in dict.fromkeys([*one, *other]):
            inner = f"{where}.{name}" if where else str(name)
            found += differences(one.get(name), other.get(name), inner)
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line for i, pair in enumerate(zip(one, other, strict=True)) for line in differences(*pair, f"{where}.{i}")
        ]
    return [] if one == other else [f"{where} was {json.dumps(one)}, is {json.dumps(other)}"]


def _with_setting(config: Any, path: list[str], text: str, whole: str) -> Any:
    name, rest = path[0], path[1:]
    if is_dataclass(config):
        names = [f.name for f in fields(config)]
        if name not in names:
            raise ValueError(f"the config has no entry {whole!r}; at {name!r} it has {', '.join(names)}")
        if rest:
            return replace(config, **{name: _with_setting(getattr(config, name), rest, text, whole)})  # pyright: ignore[reportArgumentType]
        return from_json(config, {name: _read(text)}, whole.rpartition(".")[0] or "config")
    if isinstance(config, tuple):
        if not name.isdigit() or int(name) >= len(config):
            raise ValueError(f"the config has no entry {whole!r}; at {name!r} it has 0 to {len(config) - 1}")
        old = config[int(name)]
        new = _with_setting(old, rest, text, whole) if rest else _converted(type(old), old, _read(text), whole)
        return (*config[: int(name)], new, *config[int(name) + 1 :])
    if isinstance(config, Mapping):
        # Names of parameters, as in `rates`, have dots of their own: what is left of the path is one name.
        key = ".".join(path)
        example = next(iter(config.values()), 0.0)
        return {**config, key: _converted(type(example), example, _read(text), whole)}
    raise ValueError(f"the config has no entry {whole!r}: what stands before {name!r} is a single value")


def _read(text: str) -> Any:
    """JSON where it is, else the text itself: 96, 0.5, [32, 64], true, cosine."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _converted(hint: Any, default: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        kinds = [a for a in get_args(hint) if a is not type(None)]
        if value is None and len(kinds) < len(get_args(hint)):
            return None
        return _converted(kinds[0], default, value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(default if isinstance(default, hint) else hint(), value, where)
    if origin is tuple or hint is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} must be a list but got {value!r}")
        inner = (get_args(hint) or (Any,))[0]
        return tuple(
            _converted(inner, default[i] if i < len(default or ()) else None, v, f"{where}.{i}")
            for i, v in enumerate(value)
        )
    if origin in (Mapping, dict) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be a mapping of names to values but got {value!r}")
        return {str(k): _converted(get_args(hint)[1], None, v, f"{where}.{k}") for k, v in value.items()}
    kind = hint if hint in (bool, int, float, str) else None
    if origin is not None and kind is None:  # Literal
        allowed = get_args(hint)
        if value not in allowed:
            raise ValueError(f"{where} must be one of {', '.join(map(str, allowed))} but got {value!r}")
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        # An int beyond any float is as wrong here as infinity.
        if not abs(value) < math.inf or abs(value) > sys.float_info.max:
            raise ValueError(f"{where} must be a finite number but got {str(value)[:20]}")
        return float(value)
    if kind is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]
    raise ValueError(f"{where} must be {wanted} but got {value!r}")
