"""The reference's vectors through what the dialogs ask: presenters, the check before a save, verdicts of hosts.

`tests.conformance` gives the same cases to the functions themselves; here they go in where a user's input does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpconsole.core.machines import checking_pinning, editing
from hpconsole.core.machines.checking import check
from hpconsole.core.machines.draft import CpuPinningPolicy, NodeDraft, VmDraft
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.resizing import resized_placement
from hpconsole.core.machines.surroundings import Surroundings, meant_vm
from hpconsole.core.machines.verdicts import host_verdicts
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostNumaNode, HostTopology
from hpconsole.core.model.vm import NumaMode
from hpconsole.core.planning import numa_rules, pinning_text, virtual_numa
from hpconsole.core.planning.pinning_text import parse
from hpconsole.core.scheduler import grouping, needs
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.ui.numa import capacity
from hpconsole.ui.numa.presenter import NumaPresenter
from hpconsole.ui.pinning.presenter import PinningPresenter, PinTexts
from tests.builders import a_host, a_snapshot, a_topology, a_vm
from tests.conformance import adapters_planning, runner, shapes
from tests.conformance.expectations import problems
from tests.core.machines.derived_from_pins import through_the_dialog

Case = dict[str, Any]
CASES = runner.load(Path(runner.__file__).parent / "vectors.json")
MIB = 1024


def cases(unit: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    mine = [case for case in CASES if case["unit"] == unit]
    assert mine, f"there are no cases of {unit}"
    return pytest.mark.parametrize("case", mine, ids=lambda case: case["id"].partition("/")[2])


def bare(vm: Case, **changes: Any) -> VmDraft:
    """A new VM as large as the case's, with nothing else that could be wrong."""
    topology = shapes.topology(vm)
    memory = int((vm.get("memory_mb") or 2048) * MIB)
    return replace(
        new_draft("vm"),
        disks=(),
        nics=(),
        topology=topology,
        vcpus_now=topology.vcpus,
        memory_kib=memory,
        memory_now_kib=memory,
        huge_page_kib=shapes.page_size(vm),
        cpu_pinning_policy=CpuPinningPolicy(vm.get("cpu_pinning_policy") or "none"),
        **changes,
    )


def node_of(node: Case) -> NodeDraft:
    return NodeDraft(
        node["index"],
        int(node["memory_mb"] * MIB),
        tuple(node.get("pinned_host_nodes") or ()),
        tuple(node.get("vcpus") or ()),
        NumaMode(node.get("tune_mode") or "interleave"),
        node.get("key"),
    )


def hosts_of(case: Case) -> list[Host]:
    return [
        a_host(
            host["id"],
            topology=replace(
                a_topology(),
                nodes=tuple(
                    HostNumaNode(
                        node["index"], int((node.get("total_memory_mb") or 0) * MIB), a_topology().nodes[0].cpus
                    )
                    for node in host["numa_nodes"] or ()
                ),
            ),
        )
        for host in case.get("dedicated_hosts") or ()
    ]


# --- CPU pinning texts


@cases("cpu_pinning_validation")
def test_a_pinning_text_in_the_vm_dialog(case: Case) -> None:
    given, vm = case["input"], case["input"]["vm"]
    count = vm.get("dedicated_host_count", len(vm.get("dedicated_hosts") or ()))
    names = tuple(f"h{number}" for number in range(count))
    hosts = {name: a_host(name, topology=HostTopology()) for name in names}
    draft = bare(vm, allowed_hosts=names, pinning_text=given.get("cpu_pinning") or "")
    found = [
        p
        for p in check(draft, Surroundings(a_snapshot(hosts.values())))
        if p.kind and p.field in ("pinning_text", "cpu_pinning_policy")
    ]
    expected = case["expected"].get("error_kind")
    if expected:
        assert expected in [problem.kind for problem in found]
    else:
        assert not [p for p in found if not p.is_warning and "undefined_host" not in p.kind.lower()]

    editor = PinningPresenter()
    editor.set_vm(draft.vcpus, (), draft.cpu_pinning_policy)
    editor.set_hosts(hosts, {}, names)
    editor.set_texts(PinTexts(vcpus=draft.pinning_text))
    if editor.is_editable:  # with other policies there is no field to type into
        said = editor.view().vcpu_problem
        sentences = [problem.sentence for problem in found if problem.kind == expected]
        assert said in sentences if expected else not said


@cases("cpu_pinning_parse")
def test_what_the_picture_shows_of_a_pinning_text(case: Case) -> None:
    editor = PinningPresenter()
    editor.set_vm(8, (), CpuPinningPolicy.MANUAL)
    editor.set_texts(PinTexts(vcpus=case["input"]["cpu_pinning"]))
    shown = dict(editor.pinning.vcpus)
    expected = case["expected"]["rules"]
    assert {rule["vcpu"]: rule["pcpus"] for rule in expected if rule["pcpus"]} == {
        vcpu: list(cpus) for vcpu, cpus in shown.items()
    }
    if any(not rule["pcpus"] for rule in expected):
        assert "no CPU" in editor.view().vcpu_problem or not editor.hosts


# --- virtual NUMA nodes


@cases("numa_validation")
def test_virtual_nodes_in_the_vm_dialog(case: Case) -> None:
    given = case["input"]
    hosts = hosts_of(given)
    nodes = tuple(node_of(node) for node in given["vnuma_nodes"])
    draft = bare(given["vm"], allowed_hosts=tuple(host.name for host in hosts), numa_nodes=nodes)
    if given.get("scope") == "host_compatibility_only":
        # A part of the rules alone: the VM's own, which come first, are to find nothing.
        draft = replace(draft, memory_kib=1 << 40, topology=shapes.topology({"vcpus": 64}))
    kinds = [problem.kind for problem in checking_pinning.node_problems(draft, Surroundings(a_snapshot(hosts)))]
    assert (kinds[0] if kinds else None) == (case["expected"].get("error_kind") or None)


@cases("vnuma_edit_validation")
def test_edits_of_virtual_nodes(case: Case) -> None:
    given = case["input"]
    hosts = hosts_of(given)
    existing = tuple(node_of(node) for node in given["existing_vnuma_nodes"])
    draft = bare(given["vm"], allowed_hosts=tuple(host.name for host in hosts), numa_nodes=existing)
    found = list(
        checking_pinning.node_problems(
            draft,
            Surroundings(a_snapshot(hosts)),
            given["operation"],
            tuple(node_of(node) for node in given["requested_vnuma_nodes"]),
            is_gone=not given["vm"].get("exists", True),
        )
    )
    assert (found[0].kind if found else None) == (case["expected"].get("error_kind") or None)


def opened(draft: VmDraft, *hosts: Host, is_there: bool = True) -> NumaPresenter:
    vms = [replace(a_vm(draft.name), uuid=draft.uuid)] if is_there else []
    return NumaPresenter(
        (draft,), a_snapshot(hosts, vms), lambda: DEFAULT_POLICY, hosts=[host.name for host in hosts], is_for_host=True
    )


def test_the_numa_dialog_says_a_broken_rule_before_any_host_was_asked() -> None:
    host = a_host("host-a")
    draft = replace(editing.with_node_count(bare({"vcpus": 4, "memory_mb": 4096}), 2), uuid="u", name="db")
    dialog = opened(draft, host)
    dialog.set_memory(("u", 0), 4096 * MIB)
    assert "db: The virtual nodes have 6,144 MiB together" in dialog.view().problem
    assert not dialog.view().can_save
    dialog.undo()
    assert dialog.view().problem == ""
    gone = opened(draft, host, is_there=False)
    gone.set_mode(("u", 0), NumaMode.STRICT)
    assert "does not exist any more" in gone.view().problem
    assert not gone.view().can_save


@cases("vnuma_resource_split")
def test_the_vm_split_over_virtual_nodes(case: Case) -> None:
    given = case["input"]
    draft = bare({"memory_mb": given["memory_mb"], "huge_page_size_kib": given["huge_page_size_kib"]})
    topology = shapes.topology({"vcpu_sockets": 1, "cores_per_socket": given["vcpus"] // given["threads_per_core"],
                                "threads_per_core": given["threads_per_core"]})  # fmt: skip
    nodes = editing.with_node_count(editing.with_topology(draft, topology), given["node_count"]).numa_nodes
    for index, count in case["expected"]["vcpus_per_node"].items():
        assert len(nodes[int(index)].vcpus) == count
    for index, memory in case["expected"]["memory_mb_per_node"].items():
        assert nodes[int(index)].memory_kib == memory * MIB


@cases("numa_derived_settings")
def test_what_follows_from_pinned_virtual_nodes(case: Case) -> None:
    assert problems(case["expected"], through_the_dialog(case["input"])) == []


@cases("resize_and_pin_cpu_string")
def test_the_map_of_resize_and_pin(case: Case) -> None:
    given = case["input"]["host"]
    nodes = tuple(HostNumaNode(node["index"], 1 << 21, CpuSet.of(node["cpus"])) for node in given["numa_nodes"])
    topology = replace(
        a_topology(), nodes=nodes, sockets=given["cpu_sockets"], cores=given["cpu_cores"], threads=given["cpu_threads"]
    )
    draft = editing.with_node_count(bare(case["input"]["vm"]), len(nodes))
    placement = resized_placement(draft, a_host("h", topology=topology), "vm")
    expected = parse(case["expected"]["cpu_pinning"] or "")
    assert placement.pinning.vcpus == tuple((rule.vcpu_id, rule.cpus) for rule in expected)


def test_the_verdict_shows_resize_and_pin_as_the_start_writes_it() -> None:
    host = a_host("host-a")
    draft = editing.with_policy(bare({"vcpus": 4}), CpuPinningPolicy.RESIZE_AND_PIN_NUMA)
    (verdict,) = host_verdicts(draft, Surroundings(a_snapshot([host]), "host-a"))
    assert verdict.placement is not None
    assert len(verdict.placement.pinning.vcpus) == 28, "two sockets of seven cores with two threads, not the draft's 4"
    assert [binding.host_nodes for binding in verdict.placement.bindings] == [(0,), (1,)]
    small = a_host("small", topology=a_topology(1, 1, 1, 1))
    (refused,) = host_verdicts(draft, Surroundings(a_snapshot([small]), "small"))
    assert "one core per socket" in refused.sentence


# --- order and huge pages


@cases("pinning_demand_order")
def test_the_order_in_which_several_vms_are_placed(case: Case) -> None:
    given = case["input"]
    if "vms" in given:
        vms = [shapes.vm_of(vm) for vm in given["vms"]]
        order = [group[0].uuid for group in grouping.groups(vms)]
        assert order == case["expected"]["order"]
        return
    first = replace(shapes.vm_of(given["vm1"]), uuid="first")
    second = replace(shapes.vm_of(given["vm2"]), uuid="second")
    orders = {tuple(group[0].uuid for group in grouping.groups(pair)) for pair in ((first, second), (second, first))}
    sign = case["expected"]["sign"]
    assert orders == ({("first", "second"), ("second", "first")} if not sign else
                      {("first", "second") if sign > 0 else ("second", "first")})  # fmt: skip


@cases("huge_page_facts")
def test_the_huge_pages_of_a_draft(case: Case) -> None:
    draft = bare(case["input"]["vm"])
    vm = meant_vm(draft)
    expected = case["expected"]
    if "backed_by_huge_pages" in expected:
        assert (vm.huge_page_kib is not None) is expected["backed_by_huge_pages"]
    if "required_pages" in expected:
        assert {str(size): count for size, count in needs.required_pages(vm).items()} == expected["required_pages"]


# --- and the functions behind the dialogs are those the conformance run calls


@pytest.mark.parametrize(
    ("module", "name", "asked"),
    [
        (checking_pinning, "validate", lambda: check(
            replace(bare({"vcpus": 2}), pinning_text="0#1"), Surroundings(a_snapshot([])))),
        (numa_rules, "check_edit", lambda: check(bare({}), Surroundings(a_snapshot([])))),
        (editing, "split", lambda: editing.with_node_count(bare({"vcpus": 4}), 2)),
        (capacity, "page_count", lambda: capacity.fit(
            NodeDraft(0, 4096), 2048, "h", 0, capacity.Room(8192, 0, ((2048, 4, 4),)), is_there=False)),
    ],
    ids=["cpu_pinning_validation", "vnuma_edit_validation", "vnuma_resource_split", "huge_page_facts"],
)  # fmt: skip
def test_the_dialogs_call_what_the_conformance_run_calls(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, asked: Callable[[], object]
) -> None:
    real = getattr(module, name)
    called: list[str] = []

    def spied(*args: Any, **named: Any) -> Any:
        called.append(name)
        return real(*args, **named)

    monkeypatch.setattr(module, name, spied)
    asked()
    assert called


@pytest.mark.parametrize(
    ("asker", "name", "real"),
    [
        (checking_pinning, "validate", pinning_text.validate),
        (checking_pinning, "numa_rules", numa_rules),
        (editing, "split", virtual_numa.split),
        (capacity, "page_count", needs.page_count),
        (adapters_planning, "validate", pinning_text.validate),
        (adapters_planning, "parse", pinning_text.parse),
        (adapters_planning, "numa_rules", numa_rules),
        (adapters_planning, "virtual_numa", virtual_numa),
        (adapters_planning, "required_pages", needs.required_pages),
        (adapters_planning, "most_demanding_first", grouping.most_demanding_first),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "").rpartition(".")[2],
)
def test_and_they_are_the_same_functions(asker: object, name: str, real: object) -> None:
    assert getattr(asker, name) is real
