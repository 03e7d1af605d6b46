"""A draft's field as a JSON value and back. Reading trusts nothing: what a field cannot hold is an InvalidEdit."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from hpconsole.core.errors import InvalidEdit, InvalidPinning
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.model.cpuset import CpuSet


def to_json(value: object) -> Any:
    """Any field's value as JSON: values become objects, sets sorted lists, CPU sets libvirt's text."""
    if isinstance(value, CpuSet):
        return value.format()
    if isinstance(value, StrEnum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(to_json(item) for item in value)
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def from_json(field: str, value: Any) -> Any:
    """The value of a field out of JSON.

    Raises:
        InvalidEdit: there is no such field, or it cannot hold this.
    """
    kinds = field_kinds()
    if field not in kinds:
        raise InvalidEdit(field, f"A VM has no field “{field[:60]}”.")
    try:
        return _read(kinds[field], value)
    except (TypeError, ValueError, KeyError, InvalidPinning) as error:
        raise InvalidEdit(field, f"The field {field} cannot hold {str(value)[:60]!r}.") from error


@cache
def field_kinds() -> Mapping[str, Any]:
    """Type of each field of `VmDraft`, by name."""
    return typing.get_type_hints(VmDraft)


@cache
def _kinds_of(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _read(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _read(next(a for a in arguments if a is not type(None)), value)
    if origin in (tuple, frozenset):
        return _read_list(origin, arguments, value)
    if kind is object:
        return value
    if kind is CpuSet:
        return CpuSet.parse(value)
    return _read_one(kind, value)


def _read_list(origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError("not a list")
    if origin is frozenset:
        return frozenset(_read(arguments[0], item) for item in value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_read(arguments[0], item) for item in value)
    return tuple(_read(part, item) for part, item in zip(arguments, value, strict=True))


def _read_one(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise TypeError("not an object")
        kinds = _kinds_of(kind)
        return kind(**{name: _read(kinds[name], item) for name, item in value.items()})
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if kind is int and isinstance(value, bool):
        raise TypeError("not a number")
    if not isinstance(value, kind):
        raise TypeError("of another kind")
    return value
