"""Frozen dataclasses out of nested parameters: unknown keys, types and ranges are checked.

A field made with :func:`param` knows its description and what is allowed; :func:`build` turns a
nested dictionary into the dataclass, or raises :class:`ConfigError` naming file, key and value.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from typing import Any, TypeVar

from vla_common.core.errors import ConfigError

T = TypeVar("T")
REQUIRED = dataclasses.MISSING


def param(
    description: str,
    default: Any = REQUIRED,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[Any, ...] = (),
    length: int | None = None,
) -> Any:
    """Return a dataclass field: ``low``/``high`` are inclusive, ``above`` is exclusive."""
    metadata = {
        "description": description,
        "low": low,
        "high": high,
        "above": above,
        "choices": choices,
        "length": length,
    }
    if isinstance(default, list):
        frozen = tuple(default)
        return dataclasses.field(default=frozen, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def allowed(metadata: typing.Mapping[str, Any], kind: str) -> str:
    """Say in words what a field takes."""
    words = [kind]
    if metadata.get("choices"):
        words.append("one of " + ", ".join(repr(c) for c in metadata["choices"]))
    if metadata.get("above") is not None:
        words.append(f"> {metadata['above']:g}")
    if metadata.get("low") is not None:
        words.append(f">= {metadata['low']:g}")
    if metadata.get("high") is not None:
        words.append(f"<= {metadata['high']:g}")
    if metadata.get("length") is not None:
        words.append(f"of length {metadata['length']}")
    return ", ".join(words)


def _number(value: Any, where: str, key: str, metadata: typing.Mapping[str, Any]) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(where, key, value, allowed(metadata, "a number"))
    try:
        result = float(value)
    except OverflowError:  # a whole number beyond every float: its digits would fill the screen
        digits = f"a whole number of about {round(math.log10(abs(value)))} digits"
        raise ConfigError(where, key, digits, allowed(metadata, "a finite number")) from None
    out = not math.isfinite(result)
    out = out or (metadata.get("low") is not None and result < metadata["low"])
    out = out or (metadata.get("high") is not None and result > metadata["high"])
    out = out or (metadata.get("above") is not None and result <= metadata["above"])
    if out:
        raise ConfigError(where, key, value, allowed(metadata, "a finite number"))
    return result


def _scalar(kind: Any, value: Any, where: str, key: str, metadata: typing.Mapping[str, Any]) -> Any:
    if kind is float:
        return _number(value, where, key, metadata)
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(where, key, value, allowed(metadata, "a whole number"))
        return int(_number(value, where, key, metadata))
    if kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(where, key, value, "true or false")
        return value
    if not isinstance(value, str):
        raise ConfigError(where, key, value, allowed(metadata, "a text"))
    if metadata.get("choices") and value not in metadata["choices"]:
        raise ConfigError(where, key, value, allowed(metadata, "a text"))
    return value


def _value(kind: Any, value: Any, where: str, key: str, metadata: typing.Mapping[str, Any]) -> Any:
    if dataclasses.is_dataclass(kind):
        return build(typing.cast("type[Any]", kind), value, where, key)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise ConfigError(where, key, value, allowed(metadata, "a list"))
        items = tuple(_scalar(item, v, where, f"{key}[{i}]", metadata) for i, v in enumerate(value))
        if metadata.get("length") is not None and len(items) != metadata["length"]:
            raise ConfigError(where, key, value, allowed(metadata, "a list"))
        return items
    return _scalar(kind, value, where, key, metadata)


def unknown_key(where: str, prefix: str, key: str, known: typing.Iterable[str]) -> ConfigError:
    """Return the error for a key that nobody knows, with the nearest known one."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, 1)
    hint = f"unknown key; did you mean {near[0]!r}? " if near else "unknown key; "
    return ConfigError(
        where, f"{prefix}.{key}".strip("."), "(set)", hint + "known: " + ", ".join(names)
    )


def build(cls: type[T], values: Any, where: str, prefix: str = "") -> T:
    """Return ``cls`` made from nested ``values``. Raises :class:`ConfigError`."""
    if not isinstance(values, dict):
        raise ConfigError(where, prefix or "(top)", values, "a mapping of keys to values")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, cls))}
    for key in values:
        if key not in fields:
            raise unknown_key(where, prefix, str(key), fields)
    result = {}
    for name, field in fields.items():
        path = f"{prefix}.{name}".strip(".")
        if name in values:
            result[name] = _value(hints[name], values[name], where, path, field.metadata)
        elif field.default is REQUIRED and field.default_factory is REQUIRED:
            raise ConfigError(
                where, path, None, "required: " + str(field.metadata.get("description"))
            )
    return cls(**result)
