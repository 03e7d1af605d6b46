"""A placement survives the journal, and what is no placement is an error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode, NumaTune
from hpconsole.core.planning.placement_json import placement_from_json, placement_to_json

cpu_sets = st.frozensets(st.integers(0, 600), min_size=1, max_size=6).map(CpuSet.of)
pins = st.dictionaries(st.integers(0, 300), cpu_sets, max_size=5).map(lambda found: tuple(sorted(found.items())))
modes = st.sampled_from(NumaMode)
bindings = st.lists(
    st.builds(NodeBinding, st.integers(0, 9), st.lists(st.integers(0, 15), max_size=3).map(tuple), modes),
    max_size=4,
    unique_by=lambda binding: binding.node_id,
).map(tuple)
placements = st.builds(
    Placement,
    vm_uuid=st.uuids().map(str),
    host=st.text(),
    bindings=bindings,
    pinning=st.builds(CpuPinning, pins, st.none() | cpu_sets, pins),
    numa_tune=st.none() | st.builds(NumaTune, modes, cpu_sets),
)


@given(placements)
def test_round_trip_through_json_text(placement: Placement) -> None:
    assert placement_from_json(json.loads(json.dumps(placement_to_json(placement)))) == placement


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"nodes": 5},
        {"vm_uuid": "u", "host": "b", "nodes": {"x": {}}, "vcpus": {}, "iothreads": {}, "emulator": None},
        {**placement_to_json(Placement("u", "b")), "vcpus": {"0": "3-1"}},
        {**placement_to_json(Placement("u", "b")), "numa_tune": {"mode": "wild", "nodeset": "0"}},
        {**placement_to_json(Placement("u", "b")), "vcpus": ["0"]},
    ],
)
def test_what_was_not_written_by_it_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(InvalidPinning):
        placement_from_json(broken)
