"""What only the two hosts can answer before a migration: the way between them, their clocks, what is left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.clock_check import clock_findings
from hpconsole.core.execution.storage_check import same_file
from hpconsole.core.hypervisor.port import FileTimes, Hypervisor
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import Disk
from hpconsole.core.planning.migration_options import DEFAULT_OPTIONS, MigrationOptions
from hpconsole.core.planning.preflight_findings import Finding, Severity
from tests.builders import a_vm
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import Console, a_cluster, a_guest, a_pinned_guest, uuid_of
from tests.core.execution.test_advice import WEB, advice


def address(one: Console, host: str = "b") -> Finding:
    (found,) = [finding for finding in advice(one).check(WEB, host).findings if finding.kind == "address"]
    return found


SILENT = "End of file while reading data: : Input/output error"


class TestTheWay:
    def test_one_that_works_is_said_to_and_what_was_not_checked(self, console: ConsoleMaker) -> None:
        found = address(console(a_cluster(a_guest())))
        assert found.severity is Severity.NOTE
        assert "a reached the libvirt of b at sim://b just now" in found.sentence
        assert "Not checked: whether a firewall" in found.sentence

    def test_one_that_is_cut_is_a_warning_with_libvirt_s_words_and_asked_again(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.cluster.cut_between("a", "b")
        asked = advice(one)
        (found,) = asked.check(WEB, "b").warnings
        assert found.kind == "address"
        assert "a cannot reach the libvirt of b" in found.sentence
        assert "No route to host" in found.sentence
        assert "ends if the console does" in found.sentence
        one.cluster.heal_between("a", "b")
        assert asked.check(WEB, "b").warnings == ()

    def test_what_was_reached_is_not_tried_for_each_vm(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), a_guest("web-2")))
        asked = advice(one)
        assert asked.check(WEB, "b").warnings == ()
        one.cluster.cut_between("a", "b")
        assert asked.check(uuid_of("web-2"), "b").warnings == ()

    def test_an_attempt_that_does_not_end_is_not_waited_for(self, console: ConsoleMaker) -> None:
        import threading

        one = console(a_cluster(a_guest()))
        asked = advice(one)
        never, real = threading.Event(), one.pool.hypervisor("a")

        def hang(_uuid: str, _uri: str) -> str:
            never.wait(20)
            return ""

        object.__setattr__(real, "why_no_way", hang)
        asked._checker._reach._wait_s = 0.1
        try:
            (found,) = asked.check(WEB, "b").warnings
        finally:
            never.set()
        assert "still tries" in found.sentence

    def test_a_connection_that_ended_without_a_word_proves_nothing(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        asked = advice(one)

        object.__setattr__(one.pool.hypervisor("a"), "why_no_way", lambda _uuid, _uri: SILENT)
        (found,) = [finding for finding in asked.check(WEB, "b").findings if finding.kind == "address"]
        assert found.severity is Severity.NOTE
        assert "shows when the migration begins" in found.sentence

    @pytest.mark.parametrize(("then", "words"), [("", "a reached the libvirt of b"), ("refused", "cannot reach")])
    def test_it_is_tried_again_until_something_is_proven(self, console: ConsoleMaker, then: str, words: str) -> None:
        one = console(a_cluster(a_guest()))
        asked = advice(one)
        answers = iter([SILENT, SILENT, SILENT, then])
        object.__setattr__(one.pool.hypervisor("a"), "why_no_way", lambda _uuid, _uri: next(answers))
        (found,) = [finding for finding in asked.check(WEB, "b").findings if finding.kind == "address"]
        assert words in found.sentence
        assert next(answers, None) is None

    def test_nothing_is_tried_where_something_forbids_it_anyway(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        found = advice(one).check(WEB, "a")
        assert found.errors
        assert "just now" not in " ".join(one.sentence for one in found.findings)


HOST = "<capabilities><host><cpu><arch>x86_64</arch>{counter}</cpu></host></capabilities>"
GUEST = "<domain><cpu>{feature}</cpu><clock><timer name='tsc' present='yes'{frequency}/></clock></domain>"


def host(hz: int | None, *, scales: bool = False) -> str:
    scaling = "yes" if scales else "no"
    counter = "" if hz is None else f"<counter name='tsc' frequency='{hz}' scaling='{scaling}'/>"
    return HOST.format(counter=counter)


def guest(hz: int | None = None, *, is_invariant: bool = False) -> str:
    feature = "<feature policy='require' name='invtsc'/>" if is_invariant else ""
    return GUEST.format(feature=feature, frequency="" if hz is None else f" frequency='{hz}'")


GHZ = 1_000_000_000
CLOCKS = {
    "does not depend on it": (guest(), host(2 * GHZ), host(3 * GHZ), None),
    "the same": (guest(2 * GHZ), host(2 * GHZ), host(2 * GHZ), Severity.NOTE),
    "close enough": (guest(2 * GHZ), host(2 * GHZ), host(2 * GHZ + 500_000), Severity.NOTE),
    "just too far": (guest(2 * GHZ), host(2 * GHZ), host(2 * GHZ + 500_001), Severity.ERROR),
    "another that is scaled": (guest(2 * GHZ), host(2 * GHZ), host(3 * GHZ, scales=True), Severity.NOTE),
    "untold": (guest(2 * GHZ), host(2 * GHZ), host(None), Severity.WARNING),
    "the guest's own counts, not the source's": (guest(3 * GHZ), host(2 * GHZ), host(3 * GHZ), Severity.NOTE),
    "invariant without a frequency": (guest(is_invariant=True), host(2 * GHZ), host(2 * GHZ), Severity.ERROR),
    "invariant with one": (guest(2 * GHZ, is_invariant=True), host(2 * GHZ), host(2 * GHZ), Severity.NOTE),
}


@pytest.mark.parametrize(("domain", "here", "there", "expected"), CLOCKS.values(), ids=CLOCKS)
def test_clocks_are_compared_as_the_hosts_tell_them_now(
    domain: str, here: str, there: str, expected: Severity | None
) -> None:
    found = clock_findings(a_vm(host="a"), "b", domain, here, there)
    assert [one.severity for one in found] == ([] if expected is None else [expected])
    assert all(one.remedy for one in found if one.severity is not Severity.NOTE)


NOW_S = 1_790_000_000.0
FILES = {
    "the same": (FileTimes(NOW_S, NOW_S), FileTimes(NOW_S, NOW_S), None),
    "the same, seen late over NFS": (FileTimes(NOW_S + 60, NOW_S + 60), FileTimes(NOW_S, NOW_S), None),
    "another": (FileTimes(NOW_S, NOW_S), FileTimes(NOW_S - 121, NOW_S - 121), Severity.WARNING),
    "a copy that kept its time": (FileTimes(NOW_S, NOW_S), FileTimes(NOW_S, NOW_S + 86400), Severity.WARNING),
    "untold there": (FileTimes(NOW_S, NOW_S), None, Severity.NOTE),
    "untold here": (None, FileTimes(NOW_S, NOW_S), Severity.NOTE),
}


@pytest.mark.parametrize(("here", "there", "expected"), FILES.values(), ids=FILES)
def test_files_of_one_path_are_one_file_or_a_finding(
    here: FileTimes | None, there: FileTimes | None, expected: Severity | None
) -> None:
    found = same_file(a_vm(host="a"), Disk("vda", "file", "disk", "/images/db.raw"), "b", here, there)
    assert [one.severity for one in found] == ([] if expected is None else [expected])
    assert all("/images/db.raw (vda) on a and on b" in one.sentence for one in found)
    assert not any("storage pool" in one.sentence for one in found), "that is not known: a host may not have answered"


class TestMigrationThreads:
    def found(
        self, console: ConsoleMaker, *guests: GuestModel, options: MigrationOptions = DEFAULT_OPTIONS
    ) -> list[Finding]:
        asked = advice(console(a_cluster(*guests)))
        checked = asked.check(uuid_of(guests[0].name), "c", options)
        return [one for one in checked.findings if one.kind == "migration_threads"]

    def test_where_they_are_kept_is_said_before(self, console: ConsoleMaker) -> None:
        guest = replace(a_pinned_guest(), emulator_pin=CpuSet())
        (found,) = self.found(console, guest)
        assert found.severity is Severity.NOTE
        assert "migration threads run on CPUs 0,3-8,11-31 of a" in found.sentence

    def test_a_source_without_a_cpu_for_them_is_a_warning_where_they_are_many(self, console: ConsoleMaker) -> None:
        halves = [tuple(CpuSet.of([cpu]) for cpu in range(first, first + 16)) for first in (0, 16)]
        guests = [a_guest(f"big-{i}", vcpus=16, vcpu_pins=pins) for i, pins in enumerate(halves)]
        (found,) = self.found(console, *guests, options=MigrationOptions(parallel_connections=4))
        assert found.severity is Severity.WARNING
        assert "Guests own every CPU of a: its parallel connections take time from them" in found.sentence

    def test_an_emulator_that_is_pinned_away_is_no_finding(self, console: ConsoleMaker) -> None:
        assert self.found(console, a_pinned_guest()) == []


class TestUefi:
    FILE = "/var/lib/libvirt/qemu/nvram/web-1_VARS.fd"

    def with_file(self, console: ConsoleMaker) -> Console:
        """A guest with UEFI variables: its definitions are edited past the console."""
        one = console(a_cluster(a_guest()))
        one.ready()
        with one.cluster._world.lock:
            domain = one.cluster._world.daemons["a"].domains[WEB]
            nvram = f"<os><nvram>{self.FILE}</nvram>"
            assert domain.live is not None
            domain.live = domain.live.replace("<os>", nvram)
        return one

    def test_the_file_that_libvirt_leaves_at_the_source_is_named(self, console: ConsoleMaker) -> None:
        end = self.with_file(console).run("web-1", to="b")
        assert end.outcome is StepOutcome.DONE
        assert f"The file of its UEFI variables may be left on a: {self.FILE}." in end.sentence

    @pytest.mark.parametrize(("is_there", "words"), [(True, "variables is left on a"), (False, "")])
    def test_where_a_pool_can_tell_it_is_looked_for(self, console: ConsoleMaker, is_there: bool, words: str) -> None:
        one = self.with_file(console)

        def has_file(_path: str) -> bool:
            return is_there

        real: Hypervisor = one.pool.hypervisor("a")
        object.__setattr__(real, "has_file", has_file)
        end = one.run("web-1", to="b")
        assert (words in end.sentence) if words else ("UEFI" not in end.sentence)


def test_a_host_that_cannot_be_asked_is_said(console: ConsoleMaker) -> None:
    one = console(a_cluster(a_guest()))
    asked = advice(one)
    real = one.pool.hypervisor("a")

    def refuse(_uuid: str, _uri: str) -> str:
        raise HpconsoleError("It has another job.")

    object.__setattr__(real, "why_no_way", refuse)
    (found,) = [finding for finding in asked.check(WEB, "b").findings if finding.kind == "address"]
    assert found.severity is Severity.NOTE
    assert "could not be asked: It has another job." in found.sentence
