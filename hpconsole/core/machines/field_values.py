"""A draft's field as a JSON value and back. Reading trusts nothing: what a field cannot hold is an InvalidEdit."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from hpconsole.core.errors import InvalidEdit, ScenarioError
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.scheduler import value_json


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
        return value_json.from_json(kinds[field], value, field)
    except ScenarioError as error:
        reason = error.sentence.removeprefix("The file cannot be used: ")
        raise InvalidEdit(field, f"This cannot be set: {reason}") from error


@cache
def field_kinds() -> Mapping[str, Any]:
    """Type of each field of `VmDraft`, by name."""
    return typing.get_type_hints(VmDraft)
