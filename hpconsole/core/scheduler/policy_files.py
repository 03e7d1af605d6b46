"""Own policies: checked values, and as text for the database and for files.

The built-in policies cannot be changed or replaced; a copy under another name can.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hpconsole.core.errors import ScenarioError
from hpconsole.core.scheduler import balancers, filters, selectors, weights
from hpconsole.core.scheduler.policies import BUILT_IN, Policy
from hpconsole.core.scheduler.units import Parameter

FORMAT = "hpconsole-policy"
VERSION = 1
LARGEST_FACTOR = 1000
LARGEST_FILE = 1024 * 1024

Rename = Callable[[str], str]


def parameters() -> Mapping[str, Parameter]:
    """Every parameter any unit has, by name."""
    units = (*filters.ALL, *weights.ALL, *balancers.ALL)
    return MappingProxyType({parameter.name: parameter for unit in units for parameter in unit.parameters})


def problems(policy: Policy) -> tuple[str, ...]:
    """What is wrong with a policy, in sentences; empty if it can be used."""
    found: list[str] = []
    if not policy.name.strip() or len(policy.name) > 100:
        found.append("A policy needs a name of at most 100 characters.")
    found += [f"There is no filter named {name}." for name in policy.filters if name not in filters.BY_NAME]
    found += [
        f"The filter {name} is named twice."
        for name in sorted({n for n in policy.filters if policy.filters.count(n) > 1})
    ]
    names = [name for name, _ in policy.weights]
    found += [f"There is no weight named {name}." for name in names if name not in weights.BY_NAME]
    found += [f"The weight {name} is named twice." for name in sorted({n for n in names if names.count(n) > 1})]
    found += [
        f"The factor of {name} must be a whole number from 1 to {LARGEST_FACTOR}."
        for name, factor in policy.weights
        if not 1 <= factor <= LARGEST_FACTOR
    ]
    if policy.selector not in [selector.name for selector in selectors.ALL]:
        found.append(f"There is no selector named {policy.selector}.")
    if policy.balancer not in balancers.BY_NAME:
        found.append(f"There is no balancing named {policy.balancer}.")
    known = parameters()
    for name, value in policy.parameters.items():
        found += _parameter_problems(known.get(name), name, value)
    return tuple(found)


def _parameter_problems(parameter: Parameter | None, name: str, value: float) -> list[str]:
    if parameter is None:
        return [f"There is no parameter named {name}."]
    highest = parameter.maximum
    in_range = math.isfinite(value) and value >= parameter.minimum and (highest is None or value <= highest)
    # The default is always allowed: some mean "not set" and lie outside the range one may choose from.
    if in_range or value == parameter.default:
        return []
    limit = f"from {parameter.minimum:g} to {highest:g}" if highest is not None else f"at least {parameter.minimum:g}"
    return [f"{name} must be {limit}{' ' + parameter.unit if parameter.unit else ''}, not {value:g}."]


def policy_data(policy: Policy) -> dict[str, Any]:
    """A policy as JSON data."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": policy.name,
        "description": policy.description,
        "filters": list(policy.filters),
        "weights": [{"unit": name, "factor": factor} for name, factor in policy.weights],
        "selector": policy.selector,
        "balancer": policy.balancer,
        "parameters": dict(policy.parameters),
    }


def write_policy(policy: Policy) -> str:
    """A policy as JSON text."""
    return json.dumps(policy_data(policy), indent=2, ensure_ascii=False)


def save_policy(policy: Policy, path: Path) -> None:
    """Write a policy to a file.

    Raises:
        ScenarioError: the file cannot be written.
    """
    try:
        path.write_text(write_policy(policy) + "\n", encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path} cannot be written: {error.strerror or error}.", detail=str(error)) from error


def load_policy(path: Path, rename: Rename = str) -> Policy:
    """A policy from a file.

    Args:
        rename: What it is to be called, given the file's name for it; as the file says by default.

    Raises:
        ScenarioError: the file cannot be read, or is no policy that this version can use.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ScenarioError(f"{path} is too large for a policy.")
        return read_policy(path.read_text(encoding="utf-8"), rename)
    except OSError as error:
        raise ScenarioError(f"{path} cannot be read: {error.strerror or error}.", detail=str(error)) from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path} is no policy file: it is no JSON text.", detail=str(error)) from error


def read_policy(text: str, rename: Rename = str) -> Policy:
    """A policy from JSON text. `rename` as for `load_policy`.

    Raises:
        ScenarioError: the text is no policy, of a newer version, names units nobody has, or values out of range.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScenarioError("This is no policy file: it is no JSON text.", detail=str(error)) from error
    return policy_of(data, rename)


def policy_of(data: object, rename: Rename = str) -> Policy:
    """A policy from JSON data. Raises as `read_policy`."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise ScenarioError("This is no policy file of hpconsole.")
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ScenarioError("The policy file does not say which version of the format it has.")
    if version > VERSION:
        raise ScenarioError(
            f"The policy file has format {version}, this hpconsole understands up to {VERSION}. Update hpconsole."
        )
    policy = Policy(
        name=rename(_text(data, "name")),
        filters=tuple(_texts(data.get("filters", []), "filters")),
        weights=tuple(_weights(data.get("weights", []))),
        selector=_text(data, "selector", "RankSelector"),
        balancer=_text(data, "balancer", "None"),
        parameters=MappingProxyType(_numbers(data.get("parameters", {}))),
        description=_text(data, "description", ""),
    )
    check_policy(policy)
    return policy


def check_policy(policy: Policy) -> None:
    """Whether this can be kept as an own policy.

    Raises:
        ScenarioError: it has a built-in one's name, names units nobody has, or has values out of range.
    """
    wrong = problems(policy)
    if any(policy.name == known.name for known in BUILT_IN):
        wrong = (*wrong, f"{policy.name} is a built-in policy; give yours another name.")
    if wrong:
        raise ScenarioError(f"The policy cannot be used. {' '.join(wrong)}")


def _text(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str):
        raise ScenarioError(f"The policy file cannot be used: {name} is not text.")
    return value


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ScenarioError(f"The policy file cannot be used: {name} is not a list of names.")
    return value


def _weights(value: object) -> list[tuple[str, int]]:
    if not isinstance(value, list):
        raise ScenarioError("The policy file cannot be used: weights is not a list.")
    read: list[tuple[str, int]] = []
    for item in value:
        unit, factor = (item.get("unit"), item.get("factor")) if isinstance(item, Mapping) else (None, None)
        if not isinstance(unit, str) or not isinstance(factor, int) or isinstance(factor, bool):
            raise ScenarioError("The policy file cannot be used: a weight is a unit and a whole factor.")
        read.append((unit, factor))
    return read


def _numbers(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ScenarioError("The policy file cannot be used: parameters is not a set of named numbers.")
    for name, number in value.items():
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise ScenarioError(f"The policy file cannot be used: {str(name)[:40]} is not a number.")
    return dict(value)
