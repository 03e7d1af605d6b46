"""Frozen model values as JSON and back, driven by their own type hints. Knows no file and no scheduler.

Fields that have their default are left out. What is read is checked: a value of another type, a number out of range
or a field nobody knows is a `ScenarioError` that names the place.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from hpconsole.core.errors import InvalidPinning, ScenarioError
from hpconsole.core.model.cpuset import LIMIT, CpuSet

Json = Any
LARGEST = 2**53  # what JSON numbers hold exactly
# Numbers that count or number things a host or VM has: as large as a CPU number may be.
_SMALL = ("_id", "vcpus", "iothreads", "sockets", "cores", "threads", "dies", "dies_per_socket", "iothread")


def to_json(value: object) -> Json:
    """A value as JSON data."""
    if isinstance(value, CpuSet):
        return value.format()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not _is_default(field, getattr(value, field.name))
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted((to_json(item) for item in value), key=str)
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    return value


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(value == field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return False


def from_json(kind: Any, data: Json, place: str) -> Any:
    """A value of this type from JSON data.

    Args:
        kind: A dataclass, or any type hint of the model's fields.
        data: What was parsed.
        place: Where it stands, for the sentence.

    Raises:
        ScenarioError: the data is not such a value.
    """
    if kind is CpuSet:
        return _cpu_set(data, place)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, place)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in typing.get_args(kind) if option is not types.NoneType]
        return None if data is None else from_json(options[0], data, place)
    if origin in (tuple, frozenset):
        return _sequence(kind, origin, data, place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind, data, place)
    return _scalar(kind, data, place)


def _refuse(place: str, what: str) -> ScenarioError:
    return ScenarioError(f"The file cannot be used: {place} is not {what}.")


def _cpu_set(data: Json, place: str) -> CpuSet:
    if not isinstance(data, str):
        raise _refuse(place, "a list of numbers such as 0-3,8")
    try:
        return CpuSet.parse(data)
    except InvalidPinning as error:
        raise ScenarioError(f"The file cannot be used: {place}: {error.sentence}") from error


@lru_cache(maxsize=64)
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _dataclass(kind: type, data: Json, place: str) -> Any:
    if not isinstance(data, Mapping):
        raise _refuse(place, "a set of named values")
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for name, item in data.items():
        if name not in hints:
            raise ScenarioError(f"The file cannot be used: {place} has a field {str(name)[:40]!r} that nobody knows.")
        values[name] = from_json(hints[name], item, f"{place}.{name}")
    for field in dataclasses.fields(kind):
        missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if missing and field.name not in values:
            raise ScenarioError(f"The file cannot be used: {place} lacks {field.name}.")
    return kind(**values)


def _sequence(kind: Any, origin: Any, data: Json, place: str) -> Any:
    if not isinstance(data, list):
        raise _refuse(place, "a list")
    arguments = typing.get_args(kind)
    if origin is frozenset or arguments[-1] is Ellipsis:
        return origin(from_json(arguments[0], item, f"{place}[{i}]") for i, item in enumerate(data))
    if len(data) != len(arguments):
        raise _refuse(place, f"a list of {len(arguments)} values")
    pairs = zip(arguments, data, strict=True)
    return tuple(from_json(hint, item, f"{place}[{i}]") for i, (hint, item) in enumerate(pairs))


def _member(kind: type[Enum], data: Json, place: str) -> Enum:
    try:
        return kind(data)
    except ValueError as error:
        known = ", ".join(str(member.value) for member in kind)
        raise _refuse(place, f"one of: {known}") from error


def _scalar(kind: Any, data: Json, place: str) -> Any:
    if kind is bool and isinstance(data, bool):
        return data
    if kind is str and isinstance(data, str):
        return data
    if kind is datetime and isinstance(data, str):
        return _time(data, place)
    if kind is int and isinstance(data, int) and not isinstance(data, bool):
        return _whole(data, place)
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        if not math.isfinite(data) or abs(data) > LARGEST:
            raise _refuse(place, "a usable number")
        return float(data)
    words = {bool: "true or false", str: "text", int: "a whole number", float: "a number", datetime: "a time"}
    raise _refuse(place, words.get(kind, "what it should be"))


def _whole(data: int, place: str) -> int:
    name = place.rsplit(".", 1)[-1].split("[", 1)[0]
    if name.endswith("_id"):
        low, high = -1, LIMIT - 1
    elif name.endswith(_SMALL) or name in ("vcpus", "host_nodes", "distances"):
        low, high = 0, LIMIT
    else:
        low, high = 0, LARGEST
    if not low <= data <= high:
        raise _refuse(place, f"a number from {low} to {high:,}")
    return data


def _time(data: str, place: str) -> datetime:
    try:
        made = datetime.fromisoformat(data)
    except ValueError as error:
        raise _refuse(place, "a time such as 2026-01-01T12:00:00+00:00") from error
    if made.tzinfo is None:
        raise _refuse(place, "a time with its time zone")
    return made
