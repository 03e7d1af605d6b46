"""Saved scenarios: nothing lost, no names left when anonymised, and a sentence for every bad file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpconsole.core.errors import ScenarioError
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.host import HostDevices
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Nic, VmDevices, VmIntent, VmLoad
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.scenario import document, load, save, snapshot_of
from tests.builders import a_host, a_snapshot, a_vm
from tests.core.scheduler.random_clusters import cluster


@pytest.mark.parametrize("seed", range(30))
def test_a_saved_cluster_is_the_same_when_read(seed: int, tmp_path: Path) -> None:
    snapshot, vm = cluster(seed)
    save(snapshot, tmp_path / "s.json")
    read = load(tmp_path / "s.json")
    assert read == snapshot
    assert rank(Request((vm.uuid,)), read).accepted == rank(Request((vm.uuid,)), snapshot).accepted


def a_named_cluster() -> ClusterSnapshot:
    hosts = [a_host(f"secret-{i}", devices=HostDevices(networks=frozenset({"payroll"}))) for i in range(3)]
    vm = a_vm(
        "salaries",
        host="secret-0",
        devices=VmDevices(nics=(Nic("network", "payroll"),)),
        intent=VmIntent(allowed_hosts=("secret-1",), labels=frozenset({"finance"}), template="books"),
    )
    group = AffinityGroup(
        "accounting", host_rule=AffinityRule.NEGATIVE, is_host_rule_enforced=True, vms=(vm.uuid,), hosts=("secret-1",)
    )
    snapshot = a_snapshot(hosts, [vm], {vm.uuid: VmLoad(cpu_pct=50)})
    return ClusterSnapshot(**{**snapshot.__dict__, "affinity_groups": (group,)})


def test_anonymised_decides_the_same_and_names_nobody(tmp_path: Path) -> None:
    snapshot = a_named_cluster()
    save(snapshot, tmp_path / "s.json", anonymise=True)
    text = (tmp_path / "s.json").read_text()
    for word in ("secret", "salaries", "payroll", "finance", "accounting", "books", *snapshot.vms):
        assert word not in text
    read = load(tmp_path / "s.json")
    before = rank(Request(tuple(snapshot.vms)), snapshot)
    after = rank(Request(tuple(read.vms)), read)
    assert [name.replace("secret-", "") for name in before.accepted] == [
        str(int(name.replace("host-", "")) - 1) for name in after.accepted
    ]
    assert len(after.refusals("host-2")) == len(before.refusals("secret-1")) == 1


def _broken(change: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(json.dumps(document(a_snapshot(1, [a_vm()]))))
    for path, value in change.items():
        place: Any = whole
        *steps, last = path.split("/")
        for step in steps:
            place = place[int(step) if step.isdigit() else step]
        place[int(last) if last.isdigit() else last] = value
    return whole


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": "other"}, "not a scenario"),
        ({"version": 2}, "Update hpconsole"),
        ({"version": None}, "version"),
        ({"hosts": {}}, "hosts"),
        ({"hosts/0/topology": 7}, "topologies"),
        ({"hosts/0/name": 5}, "hosts[0].name"),
        ({"hosts/0/colour": "red"}, "colour"),
        ({"hosts/0/memory_kib": -1}, "memory_kib"),
        ({"hosts/0/memory_kib": 1e400}, "memory_kib"),
        ({"topologies/0/cpus/0/cpu_id": 10**12}, "cpu_id"),
        ({"topologies/0/cpus/0/siblings": "0-99999999"}, "siblings"),
        ({"vms/0/state": "flying"}, "one of"),
        ({"vms/0/vcpus": 10**9}, "vcpus"),
        ({"taken_at": "yesterday"}, "time"),
        ({"loads": []}, "loads"),
        ({"hosts": [{"name": "a"}, {"name": "a"}]}, "same name"),
    ],
)
def test_a_bad_file_gets_a_sentence(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        snapshot_of(_broken(change))
    assert word in caught.value.sentence


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "\x00", "nul"])
def test_what_is_no_json_gets_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ScenarioError):
        load(tmp_path / "x.json")


def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path / "none.json")
    with pytest.raises(ScenarioError, match="cannot be written"):
        save(a_snapshot(1), tmp_path / "no" / "such" / "folder.json")
