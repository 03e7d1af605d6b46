"""The CPUs lent to migration threads: what polls say instead, and until when."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.lent_cpus import LentCpus, as_meant
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinning, Vm
from hpconsole.core.planning.plan import Step

LENT, MEANT = CpuSet.parse("2-7"), CpuSet.parse("1")
VM = Vm(uuid="u", name="db", pinning=CpuPinning(emulator=LENT))


def test_what_is_meant_is_said_until_it_is_given_back_and_of_no_other_vm() -> None:
    lent = LentCpus()
    lent.lend("u", {"a": MEANT, "b": None})
    lent.lend("v", {"a": None})
    assert as_meant(VM, lent.of("a")).pinning.emulator == MEANT
    assert as_meant(VM, lent.of("b")).pinning.emulator is None
    assert as_meant(replace(VM, uuid="w"), lent.of("a")).pinning.emulator == LENT
    handed_out = lent.of("a")
    lent.give_back("u")
    assert as_meant(VM, lent.of("a")) is VM
    assert as_meant(VM, handed_out).pinning.emulator == MEANT
    assert lent.of("b") == {}
    assert lent.of("a") == {"v": None}


def test_what_the_journal_keeps_tells_a_later_run_what_is_meant() -> None:
    step = Step("u", "db", "a", "b", Placement("u", "b", pinning=CpuPinning(emulator=MEANT)), "db moves.")
    home = Placement("u", "a", pinning=CpuPinning())
    known = KnownBefore(home=home, emulator_here="0-31", emulator_there="1")
    assert KnownBefore.from_json(known.to_json()).emulator_meant(step) == {"a": None, "b": MEANT}
    assert replace(known, home=None, emulator_here="5").emulator_meant(step)["a"] == CpuSet.parse("5")
    assert replace(known, emulator_here="").emulator_meant(step) == {"b": MEANT}
    assert KnownBefore().emulator_meant(step) == {}
