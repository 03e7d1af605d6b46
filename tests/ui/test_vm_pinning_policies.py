"""The pinning policies in the VM dialog by mouse and keys: what each says, saves and becomes when the VM starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton, QSpinBox, QTableWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.machines.draft import CpuPinningPolicy, MigrationMode
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import Vm
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.fields import Tab
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel
from tests.ui.gestures import child, click, press, set_number, type_text
from tests.ui.machine_cases import WAIT_MS, Shop, shop
from tests.ui.test_vm_editor import choose, save


@pytest.fixture
def demo(qtbot: QtBot) -> Iterator[Shop]:
    with shop(qtbot) as opened:
        yield opened


@dataclass(frozen=True)
class Case:
    """A policy, and how many vCPUs a VM that asks for 4 has with it. Host-07: one socket of 32 cores, all free."""

    policy: CpuPinningPolicy
    entry: str
    vcpus: int
    host: str = "host-01"


COMPUTED = (
    Case(CpuPinningPolicy.DEDICATED, "Dedicated", 4),
    Case(CpuPinningPolicy.ISOLATE_THREADS, "Isolate threads", 4),
    Case(CpuPinningPolicy.RESIZE_AND_PIN_NUMA, "Resize and pin to NUMA", 31, "host-07"),
)


def choose_policy(demo: Shop, dialog: VmEditorDialog, entry: str) -> None:
    demo.go(dialog, Tab.PINNING)
    choose(child(dialog, QComboBox, "field_cpu_pinning_policy"), entry)
    demo.settle(dialog)


def new_vm(demo: Shop, host: str = "host-01", vcpus: int = 4) -> VmEditorDialog:
    dialog = demo.new("", host)
    type_text(child(dialog, QLineEdit, "field_name"), "fresh")
    demo.go(dialog, Tab.SYSTEM)
    cores = child(dialog, QSpinBox, "topology_cores")
    set_number(cores, vcpus)
    demo.settle(dialog)
    assert dialog._presenter.draft.vcpus == vcpus
    return dialog


def created(demo: Shop, dialog: VmEditorDialog) -> Vm:
    """Create it with a start, and the VM as the next poll sees it."""
    click(child(dialog, QCheckBox, "editor_start"), QPoint(8, 8))
    save(demo, dialog)
    demo.app.poller.refresh()
    demo.qtbot.waitUntil(lambda: demo.has("fresh") and demo.vm("fresh").state.is_active, timeout=WAIT_MS)
    return demo.vm("fresh")


def taken_by_others(demo: Shop, mine: Vm) -> CpuSet:
    """The CPUs that other VMs on the host have as their own."""
    together = CpuSet()
    for vm in demo.app.store.snapshot.vms_on(mine.host or ""):
        if vm.uuid != mine.uuid and vm.intent.cpu_pinning_policy is not CpuPinningPolicy.NONE:
            together |= vm.pinning.all_vcpu_cpus
    return together


@pytest.mark.parametrize("case", COMPUTED, ids=lambda case: case.policy.value)
def test_a_policy_that_computes_is_shown_saved_and_becomes_that_map(demo: Shop, case: Case) -> None:
    dialog = new_vm(demo, case.host)
    choose_policy(demo, dialog, case.entry)
    assert not child(dialog, QLineEdit, "pinning_text").isEnabled(), "there is nothing to type"
    table = child(dialog, QTableWidget, "pinning_threads")
    shown = [table.model().index(row, 1).data() for row in range(case.vcpus)]
    assert all(shown), "each vCPU's CPUs are shown before anything is saved"
    assert child(dialog, TextLabel, "policy_about").text()
    vm = created(demo, dialog)
    assert vm.intent.cpu_pinning_policy is case.policy
    assert vm.intent.migration_mode is MigrationMode.MANUAL, "pinned: the default follows"
    pins = dict(vm.pinning.vcpus)
    assert len(pins) == case.vcpus
    assert all(len(cpus) == 1 for cpus in pins.values())
    assert [pins[vcpu].format() for vcpu in range(case.vcpus)] == shown, "what the picture showed"
    if case.policy is not CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
        assert vm.pinning.all_vcpu_cpus.isdisjoint(taken_by_others(demo, vm))
    if case.policy is CpuPinningPolicy.ISOLATE_THREADS:
        topology = demo.app.store.snapshot.hosts[vm.host or ""].topology
        siblings = {cpu.cpu_id: cpu.siblings for cpu in topology.cpus}
        cores = [siblings[cpu] for cpu in vm.pinning.all_vcpu_cpus]
        assert len(set(cores)) == 4, "a core for each"
    again = demo.edit("fresh")
    assert again._presenter.draft.cpu_pinning_policy is case.policy
    assert again._presenter.draft.pinning_text == "", "what was computed is no map that was typed"


def test_a_map_that_is_typed_keeps_its_shape_on_cpus_of_its_own(demo: Shop) -> None:
    dialog = new_vm(demo)
    choose_policy(demo, dialog, "Keep the shape")
    type_text(child(dialog, QLineEdit, "pinning_text"), "0#0_1#32_2#1_3#33")
    demo.settle(dialog)
    vm = created(demo, dialog)
    assert vm.intent.cpu_pinning_policy is CpuPinningPolicy.KEEP_SHAPE
    topology = demo.app.store.snapshot.hosts[vm.host or ""].topology
    siblings = {cpu.cpu_id: cpu.siblings for cpu in topology.cpus}
    pins = {vcpu: next(iter(cpus)) for vcpu, cpus in vm.pinning.vcpus}
    assert siblings[pins[0]] == siblings[pins[1]] != siblings[pins[2]] == siblings[pins[3]], "pairs on two cores"
    assert len(vm.pinning.all_vcpu_cpus) == 4
    assert vm.pinning.all_vcpu_cpus.isdisjoint(taken_by_others(demo, vm))


def test_where_resize_and_pin_finds_nothing_the_picture_says_why(demo: Shop) -> None:
    dialog = new_vm(demo)
    choose_policy(demo, dialog, "Resize and pin to NUMA")
    how = child(dialog, ElidedLabel, "pinning_how").toolTip() or child(dialog, ElidedLabel, "pinning_how").text()
    assert "Nothing is found for it on host-01 now" in how
    assert "VMs on host-01 have CPUs of their own" in how


def test_a_map_that_is_left_for_a_computed_policy_is_cleared_and_comes_back_by_undo(demo: Shop) -> None:
    dialog = new_vm(demo)
    choose_policy(demo, dialog, "Keep the shape")
    type_text(child(dialog, QLineEdit, "pinning_text"), "0#0_1#32")
    choose_policy(demo, dialog, "Dedicated")
    assert dialog._presenter.draft.pinning_text == ""
    dialog._presenter.undo()
    assert dialog._presenter.draft.pinning_text == "0#0_1#32"


BAD = (
    ("0#", "is not of the form"),
    ("0#1000000000", "is no CPU number"),
    ("0#99999999999999999999", "is no CPU number"),
    ("0#8_0#9", "pinned twice"),
    ("9#8", "There is no vCPU 9"),
    ("0#8-3", "no CPU"),
    ("0#8,^8", "no CPU"),
    ("0#5000", "has no CPU 5000"),
    ("0#1 2", "is not of the form"),
    ('0#"1"', "is not of the form"),
    ("0#<b>1</b>", "is not of the form"),
    ("_".join(f"{vcpu}#0" for vcpu in range(4096)), "There is no vCPU 4"),
)


def test_pinning_that_cannot_be_is_said_at_the_field_and_nothing_is_written(demo: Shop) -> None:
    dialog = new_vm(demo)
    demo.go(dialog, Tab.HOST)
    hosts = child(dialog, QTableWidget, "vm_hosts")
    box = hosts.visualRect(hosts.model().index(0, 0))
    click(hosts.viewport(), QPoint(box.left() + 12, box.center().y()))
    demo.settle(dialog)
    choose_policy(demo, dialog, "Manual")
    field = child(dialog, QLineEdit, "pinning_text")
    for text, words in BAD:
        field.setFocus()
        field.selectAll()
        if len(text) > 12:
            field.insert(text[:-1])  # pasted; the last character is typed
        type_text(field, text if len(text) <= 12 else text[-1])
        assert field.text() == text
        demo.settle(dialog)
        said = child(dialog, TextLabel, "pinning_problem"), child(dialog, TextLabel, "problem_numa")
        shown = [label.text() for label in said if label.isVisible()]
        assert any(words in sentence for sentence in shown), (text[:40], shown)
        assert not child(dialog, QPushButton, "editor_save").isEnabled(), text[:40]
    for name, text, words in (
        ("emulator_text", "1000000000", "is too large"),
        ("iothread_text", "7#1", "no IO thread"),
    ):
        other = child(dialog, QLineEdit, name)
        other.setFocus()
        other.selectAll()
        type_text(other, text)
        demo.settle(dialog)
        assert words in child(dialog, TextLabel, "helper_problem").text()
        other.selectAll()
        press(other, Qt.Key.Key_Delete)
    assert not demo.has("fresh")
