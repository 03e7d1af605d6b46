"""The pinning part of a draft as the pinning editor's texts and back, and the virtual nodes in a line. No Qt."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.machines.draft import HostMap, VmDraft
from hpconsole.core.machines.migration_mode import settled
from hpconsole.ui import format as fmt
from hpconsole.ui.pinning.presenter import PinTexts


def texts_of(draft: VmDraft) -> PinTexts:
    """The pinning texts of a draft."""
    own = tuple((item.host, item.pinning_text) for item in draft.per_host if item.pinning_text)
    return PinTexts(draft.pinning_text, draft.emulator_text, draft.iothread_texts, own)


def with_texts(draft: VmDraft, texts: PinTexts) -> VmDraft:
    """The draft with these pinning texts."""
    own = dict(texts.own)
    maps = [replace(item, pinning_text=own.pop(item.host, "")) for item in draft.per_host]
    maps += [HostMap(host, text) for host, text in own.items()]
    changed = replace(
        draft,
        pinning_text=texts.vcpus,
        emulator_text=texts.emulator,
        iothread_texts=texts.iothreads,
        per_host=tuple(item for item in maps if item.pinning_text or item.numa),
    )
    return settled(draft, changed)


def numa_summary(draft: VmDraft) -> str:
    """The virtual nodes in one line."""
    if not draft.numa_nodes:
        return "None: the guest sees one flat memory."
    parts = []
    for node in draft.numa_nodes:
        where = ", ".join(str(n) for n in node.host_nodes)
        place = f" on host node {where} ({node.mode.value})" if where else ", not pinned"
        parts.append(f"{node.index}: {fmt.kib(node.memory_kib)}, {fmt.count(len(node.vcpus), 'vCPU')}{place}")
    return "   ".join(parts)
