"""Policies as files: what is written is read again, what nobody can mean gets a sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hpconsole.core.errors import ScenarioError
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT_POLICY
from hpconsole.core.scheduler.policy_files import parameters, problems, read_policy, write_policy


@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: policy.name)
def test_built_in_policies_are_sound_and_copies_survive_a_file(policy: object) -> None:
    known = next(item for item in BUILT_IN if item is policy)
    assert problems(known) == ()
    own = replace(known.copied("mine"), weights=(*known.weights, ("Fit VM to single host NUMA node", 3)))
    assert read_policy(write_policy(own)) == own


def test_the_factors_are_the_reference_s() -> None:
    assert [dict(policy.weights)["VmToHostsAffinityGroups"] for policy in BUILT_IN] == [20] * 5
    assert dict(DEFAULT_POLICY.weights) == {
        "OptimalForCpuEvenDistribution": 2,
        "OptimalForMemoryEvenDistribution": 1,
        "PreferredHosts": 99,
        "OptimalForHaReservation": 1,
        "VmAffinityGroups": 1,
        "VmToHostsAffinityGroups": 20,
        "CPU for high performance VMs": 4,
        "CPU and NUMA pinning compatibility": 5,
    }


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"version": 9}, "Update"),
        ({"name": "none"}, "built-in"),
        ({"name": ""}, "name"),
        ({"filters": ["NoSuch"]}, "NoSuch"),
        ({"weights": [{"unit": "VmAffinityGroups", "factor": 0}]}, "factor"),
        ({"weights": [{"unit": "VmAffinityGroups", "factor": 1.5}]}, "factor"),
        ({"selector": "Dice"}, "Dice"),
        ({"balancer": "Dice"}, "Dice"),
        ({"parameters": {"HighUtilization": 120}}, "from 50 to 99"),
        ({"parameters": {"HighUtilization": True}}, "number"),
        ({"parameters": {"Colour": 1}}, "Colour"),
        ({"format": "other"}, "no policy file"),
    ],
)
def test_a_bad_policy_gets_a_sentence(change: dict[str, object], word: str) -> None:
    data = json.loads(write_policy(DEFAULT_POLICY.copied("mine"))) | change
    with pytest.raises(ScenarioError) as caught:
        read_policy(json.dumps(data))
    assert word in caught.value.sentence


def test_every_parameter_has_a_range_around_what_built_in_policies_use() -> None:
    for policy in BUILT_IN:
        for name, value in policy.parameters.items():
            parameter = parameters()[name]
            assert parameter.minimum <= value or value == parameter.default
