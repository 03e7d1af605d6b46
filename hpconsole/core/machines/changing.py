"""What does saving an edited draft change, and when does each change take effect? Pure.

What libvirt can do to a running VM is done at once (`live_edits`); everything else waits in the definition for the
next start, and the dialog says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.hypervisor.intent_xml import format_intent
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.editing import pinning_of
from hpconsole.core.machines.field_labels import LABELS, label_of, shown
from hpconsole.core.machines.reading import LITERAL, vm_from_xml
from hpconsole.core.machines.writing import changed_fields, render
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy, Vm

# Kept in hpconsole's metadata, which may change while the VM runs; or words for people only.
_INTENT_FIELDS = frozenset(
    {
        *("title", "description", "labels", "optimized_for", "migration_mode", "is_migration_mode_chosen"),
        *("allowed_hosts", "high_availability", "priority", "per_host", "profile", "needs_tsc_frequency"),
    }
)
_PIN_FIELDS = frozenset({"pinning_text", "emulator_text", "iothread_texts", "cpu_pinning_policy", "per_host"})
_HIDDEN = frozenset({"profile", "is_migration_mode_chosen"})


class When(StrEnum):
    """When a change takes effect."""

    NOW = "now"
    NEXT_START = "at the next start"


class LiveKind(StrEnum):
    """What is retuned."""

    VCPU = "vCPU"
    EMULATOR = "emulator threads"
    IOTHREAD = "IO thread"
    MEMORY = "memory"
    INTENT = "what it is meant to have"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs."""

    field: str
    label: str
    before: str
    after: str
    when: When

    @property
    def sentence(self) -> str:
        """`Memory: 4 GiB → 8 GiB, at the next start`."""
        return f"{self.label}: {self.before} → {self.after}, {self.when.value}"


@dataclass(frozen=True, slots=True)
class LiveEdit:
    """One thing done to the running VM: CPUs of a thread (`number`), KiB of memory, or the metadata's XML."""

    kind: LiveKind
    number: int = 0
    value: str = ""


def changes(before: VmDraft, after: VmDraft, vm: Vm | None) -> tuple[Change, ...]:
    """Every field that differs, in the order of the dialog. `vm`: as it is now; None = not made yet."""
    is_running = vm is not None and vm.is_running_somewhere
    differing = changed_fields(before, after) - _HIDDEN
    return tuple(
        Change(
            field,
            label_of(field),
            shown(field, getattr(before, field)),
            shown(field, getattr(after, field)),
            When.NOW if not is_running or _is_live(field, before, after) else When.NEXT_START,
        )
        for field in LABELS
        if field in differing
    )


def _is_live(field: str, before: VmDraft, after: VmDraft) -> bool:
    if field in _INTENT_FIELDS:
        return True
    if field == "memory_now_kib":
        return before.has_balloon and after.memory_now_kib <= before.memory_kib
    if field == "cpu_pinning_policy":
        return after.cpu_pinning_policy in (*LITERAL, CpuPinningPolicy.NONE)
    return field in _PIN_FIELDS


def live_edits(before: VmDraft, after: VmDraft, vm: Vm, all_cpus: CpuSet) -> tuple[LiveEdit, ...]:
    """What is done to the running VM, in order.

    Args:
        vm: As it runs now.
        all_cpus: Of its host: what a thread may use that is not pinned any more.
    """
    edits: list[LiveEdit] = []
    differing = changed_fields(before, after)
    if differing & _PIN_FIELDS and _is_live("cpu_pinning_policy", before, after):
        edits += _vcpu_edits(before, after, vm, all_cpus)
    if "emulator_text" in differing:
        edits.append(LiveEdit(LiveKind.EMULATOR, 0, _cpus(after.emulator_text, all_cpus)))
    old_threads, new_threads = dict(before.iothread_texts), dict(after.iothread_texts)
    for thread in vm.iothread_ids:
        if old_threads.get(thread) != new_threads.get(thread):
            edits.append(LiveEdit(LiveKind.IOTHREAD, thread, _cpus(new_threads.get(thread, ""), all_cpus)))
    if "memory_now_kib" in differing and _is_live("memory_now_kib", before, after):
        edits.append(LiveEdit(LiveKind.MEMORY, 0, str(after.memory_now_kib)))
    new = vm_from_xml(render(after)).intent
    if new.is_stored and new != vm_from_xml(before.xml).intent:
        edits.append(LiveEdit(LiveKind.INTENT, 0, format_intent(new, prefix="")))
    return tuple(edits)


def _vcpu_edits(before: VmDraft, after: VmDraft, vm: Vm, all_cpus: CpuSet) -> list[LiveEdit]:
    """Only where the written map changes: what a computed policy has found is left alone."""
    host = vm.host or ""
    old, new = pinning_of(before, host), pinning_of(after, host)
    if after.cpu_pinning_policy is CpuPinningPolicy.NONE and before.cpu_pinning_policy is not CpuPinningPolicy.NONE:
        old, new = dict(vm.pinning.vcpus), {}
    return [
        LiveEdit(LiveKind.VCPU, vcpu, (new.get(vcpu) or all_cpus).format())
        for vcpu in range(vm.vcpus)
        if old.get(vcpu) != new.get(vcpu)
    ]


def _cpus(text: str, all_cpus: CpuSet) -> str:
    return (CpuSet.parse(text) or all_cpus).format()
