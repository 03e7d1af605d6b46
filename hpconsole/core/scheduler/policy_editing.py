"""Changes to an own policy, one at a time: values in, a new policy out. What is not allowed is a sentence.

Knows neither database nor window; names and ranges are checked by `policy_files`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from hpconsole.core.errors import ScenarioError
from hpconsole.core.scheduler import filters
from hpconsole.core.scheduler.policies import Policy

Change = Callable[[Policy], Policy]


def with_filter(policy: Policy, name: str, *, is_on: bool) -> Policy:
    """With or without a filter. Mandatory ones are always on.

    Raises:
        ScenarioError: a mandatory filter cannot be taken out.
    """
    unit = filters.BY_NAME.get(name)
    if unit is not None and unit.is_mandatory:
        if is_on:
            return policy
        raise ScenarioError(f"The filter {name} is mandatory: it counts in every policy.")
    rest = tuple(known for known in policy.filters if known != name)
    return replace(policy, filters=(*rest, name) if is_on else rest)


def with_weight(policy: Policy, name: str, factor: int) -> Policy:
    """With this factor for a weight, which keeps its place; 0 takes it out."""
    if factor == 0:
        return replace(policy, weights=tuple(item for item in policy.weights if item[0] != name))
    if any(known == name for known, _ in policy.weights):
        return replace(policy, weights=tuple((n, factor if n == name else old) for n, old in policy.weights))
    return replace(policy, weights=(*policy.weights, (name, factor)))


def with_parameter(policy: Policy, name: str, value: float | None) -> Policy:
    """With this value of a parameter; None = not set."""
    values = {known: old for known, old in policy.parameters.items() if known != name}
    if value is not None:
        values[name] = value
    return replace(policy, parameters=MappingProxyType(values))
