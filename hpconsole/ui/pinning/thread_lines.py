"""The rows of the table of threads: each thread and the CPUs it has. No Qt.

Thousands of vCPUs are typed key by key: what did not change is the very same row as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import CpuPinning
from hpconsole.ui.pinning.threads import Thread, ThreadKind


@dataclass(frozen=True, slots=True)
class ThreadLine:
    """One row of the table of threads."""

    thread: Thread
    title: str
    cpus: str  # "" = any
    remark: str = ""


def lines_of(
    threads: Sequence[Thread], pinning: CpuPinning, before: Sequence[ThreadLine] = ()
) -> tuple[ThreadLine, ...]:
    """The rows of these threads with this map; rows of `before` that are as they were are taken over."""
    vcpus, iothreads = dict(pinning.vcpus), dict(pinning.iothreads)
    lines = []
    for place, thread in enumerate(threads):
        if thread.kind is ThreadKind.VCPU:
            cpus = vcpus.get(thread.number)
        else:
            cpus = pinning.emulator if thread.kind is ThreadKind.EMULATOR else iothreads.get(thread.number)
        text = _text(cpus) if cpus is not None else ""
        old = before[place] if place < len(before) else None
        if old is None or old.thread is not thread or old.cpus != text:
            remark = "" if thread.kind is ThreadKind.VCPU else "helps the vCPUs"
            old = ThreadLine(thread, thread.title, text, remark)
        lines.append(old)
    return tuple(lines)


@lru_cache(maxsize=16_384)
def _text(cpus: CpuSet) -> str:
    return cpus.format()
