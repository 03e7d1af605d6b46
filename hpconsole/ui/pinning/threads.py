"""The threads of a VM that can be pinned, and what pinning one by one or all together makes of a map. No Qt.

The value everywhere is `core.model.vm.CpuPinning`: text, table and picture are views of one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.vm import CpuPinning


class ThreadKind(StrEnum):
    """What runs in a thread."""

    VCPU = "vCPU"
    EMULATOR = "Emulator"
    IOTHREAD = "IO thread"


@dataclass(frozen=True, slots=True, order=True)
class Thread:
    """One thread, or the emulator's threads together (libvirt pins them as one)."""

    kind: ThreadKind
    number: int = 0

    @property
    def title(self) -> str:
        """As a row of a table says it."""
        return "Emulator" if self.kind is ThreadKind.EMULATOR else f"{self.kind.value} {self.number}"

    @property
    def short(self) -> str:
        """As a tile of the picture says it."""
        return {
            ThreadKind.VCPU: str(self.number),
            ThreadKind.EMULATOR: "E",
            ThreadKind.IOTHREAD: f"IO{self.number}",
        }[self.kind]


EMULATOR = Thread(ThreadKind.EMULATOR)


@lru_cache(maxsize=8192)
def vcpu(number: int) -> Thread:
    """The thread of a vCPU."""
    return Thread(ThreadKind.VCPU, number)


def iothread(number: int) -> Thread:
    """An IO thread; libvirt counts them from 1."""
    return Thread(ThreadKind.IOTHREAD, number)


@lru_cache(maxsize=16)
def threads_of(vcpus: int, iothread_ids: tuple[int, ...]) -> tuple[Thread, ...]:
    """Everything that can be pinned, in the order of the table."""
    return (*(vcpu(number) for number in range(vcpus)), EMULATOR, *(iothread(number) for number in iothread_ids))


def as_mapping(pinning: CpuPinning) -> dict[Thread, CpuSet]:
    """The pinned threads with their CPUs."""
    pins = {vcpu(number): cpus for number, cpus in pinning.vcpus}
    if pinning.emulator is not None:
        pins[EMULATOR] = pinning.emulator
    return pins | {iothread(number): cpus for number, cpus in pinning.iothreads}


def as_pinning(pins: Mapping[Thread, CpuSet]) -> CpuPinning:
    """The value of a mapping; threads without CPUs are not pinned."""

    def of(kind: ThreadKind) -> tuple[tuple[int, CpuSet], ...]:
        chosen = ((thread.number, cpus) for thread, cpus in pins.items() if thread.kind is kind and cpus)
        return tuple(sorted(chosen, key=lambda rule: rule[0]))

    return CpuPinning(of(ThreadKind.VCPU), pins.get(EMULATOR) or None, of(ThreadKind.IOTHREAD))


def cpus_of(pinning: CpuPinning, thread: Thread) -> CpuSet:
    """The CPUs of a thread; empty where it is not pinned."""
    return as_mapping(pinning).get(thread, EMPTY)


def pinned(pinning: CpuPinning, changes: Mapping[Thread, CpuSet]) -> CpuPinning:
    """The map after these threads got these CPUs (none: not pinned)."""
    return as_pinning(as_mapping(pinning) | dict(changes))


def one_by_one(pinning: CpuPinning, threads: Sequence[Thread], cpus: Sequence[int]) -> CpuPinning:
    """The first thread on the first CPU, and so on; threads beyond the last CPU stay as they are."""
    return pinned(pinning, {thread: CpuSet.of([cpu]) for thread, cpu in zip(threads, cpus, strict=False)})


def all_together(pinning: CpuPinning, threads: Sequence[Thread], cpus: Sequence[int]) -> CpuPinning:
    """Each of the threads on all of the CPUs."""
    return pinned(pinning, dict.fromkeys(threads, CpuSet.of(cpus)))


def unpinned(pinning: CpuPinning, threads: Sequence[Thread]) -> CpuPinning:
    """The map after these threads may run anywhere."""
    return pinned(pinning, dict.fromkeys(threads, EMPTY))
