"""What can be asked before a migration, over the simulated cluster: forecast, checks, and what the journal keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.errors import PlanOutOfDate
from hpconsole.core.events import PlanFinished
from hpconsole.core.execution.advice import MigrationAdvice, MigrationPolicies
from hpconsole.core.execution.measured import forecast_error
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter
from hpconsole.core.hypervisor.simulated.machines import GIB
from hpconsole.core.model.vm import AssignedDevice, Disk, VmDevices
from hpconsole.core.planning.forecast import Verdict
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.preflight_findings import Severity, findings_of
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import Console, a_cluster, a_guest, uuid_of

CALM = LoadCharacter(0.2, 0.1, 20, 0.3, resident_share=1.0)
FURIOUS = LoadCharacter(0.9, 0.1, 8_000, 0.9, resident_share=1.0)
WEB = uuid_of("web-1")


def advice(one: Console) -> MigrationAdvice:
    one.ready()
    return MigrationAdvice(
        one.pool,
        one.store,
        one.journal,
        MigrationPolicies(),
        policy=lambda: DEFAULT_POLICY,
        reservations=one.executor.reservations,
    )


class TestForecast:
    def test_a_calm_guest_is_measured_and_converges(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=2 * GIB, character=CALM), link_mib_s=1000))
        asked = advice(one)
        assert asked.known_forecast(WEB, "b") is not None
        seen = asked.forecast(WEB, "b")
        assert seen.verdict is Verdict.CONVERGES, seen
        assert seen.dirty_mib_s == pytest.approx(20, abs=2)
        assert seen.bandwidth_mib_s == pytest.approx(930)
        again = asked.known_forecast(WEB, "b")
        assert again is not None
        assert again.verdict is Verdict.CONVERGES, "what was measured just now is not measured again"

    def test_one_that_writes_faster_than_the_link_says_what_would_help(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=2 * GIB, character=FURIOUS), link_mib_s=1000))
        seen = advice(one).forecast(WEB, "b", MigrationOptions(auto_converge=False))
        assert seen.verdict is Verdict.DOES_NOT_CONVERGE, seen
        assert {"post_copy", "pause"} <= {remedy.kind for remedy in seen.remedies}

    def test_one_measured_on_a_host_without_cpu_to_spare_is_promised_less(self, console: ConsoleMaker) -> None:
        guest = a_guest(memory_kib=2 * GIB, character=LoadCharacter(0.2, 0.1, 120, 0.5, resident_share=1.0))
        alone = advice(console(a_cluster(guest, link_mib_s=1000))).forecast(WEB, "b")
        assert alone.verdict is Verdict.CONVERGES, alone
        hog = a_guest("hog-1", vcpus=64, character=LoadCharacter(1.0, 0.0, 1, 0.05))
        busy = console(a_cluster(guest, hog, link_mib_s=1000))
        seen = advice(busy).forecast(WEB, "b")
        assert seen.verdict is Verdict.MAY_CONVERGE, seen
        assert any("while a had no CPU to spare: it may write faster" in words for words in seen.basis)

    def test_a_vm_that_is_off_has_none(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        asked = advice(one)
        with pytest.raises(PlanOutOfDate):
            asked.forecast("nobody", "b")
        assert asked.known_forecast("nobody", "b") is None

    def test_forecast_and_outcome_stand_side_by_side_in_the_journal(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=4 * GIB, character=CALM), link_mib_s=1000))
        asked = advice(one)
        plan = one.plan("web-1", to="b")
        seen = asked.forecast(WEB, "b")
        one.executor.submit(replace(plan, steps=tuple(replace(step, forecast=seen) for step in plan.steps)))
        one.log.wait(PlanFinished)
        (record,) = one.journal.records()
        assert record.facts["forecast"]["verdict"] == "converges"
        error = forecast_error(record.facts, record.statistics)
        assert error is not None
        assert abs(error) < 0.35, (record.facts, record.statistics)
        # and the next one on this path stands on it
        next_one = asked.known_forecast(WEB, "a")
        assert next_one is None or "earlier migration" in " ".join(next_one.basis)


def test_an_error_of_nothing_is_none() -> None:
    assert forecast_error({}, {"total_s": 1.0}) is None
    assert forecast_error({"forecast": {"total_s": 2.0}}, {}) is None
    assert forecast_error({"forecast": {"total_s": 3.0}}, {"total_s": 2.0}) == 0.5


class TestChecks:
    def test_nothing_stands_against_it(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        found = advice(one).check(WEB, "b")
        assert (found.errors, found.warnings) == ((), ())
        assert {finding.kind for finding in found.findings} == {"address", "storage"}, "only what is good to know"

    def test_a_cpu_the_destination_does_not_have(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.ready()
        told = one.pool.call(
            "b",
            lambda host: host.compare_cpu(
                "<cpu mode='custom'><model>Unheard-Of</model></cpu>", arch="x86_64", machine="q35", virt_type="kvm"
            ),
            deadline_s=5,
        )
        assert "Unheard-Of" in told

    def test_a_host_that_is_not_there_or_not_wanted(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        asked = advice(one)
        assert asked.check(WEB, "nowhere").errors[0].kind == "destination"
        assert "runs on a now" in asked.check(WEB, "a").errors[0].sentence
        with pytest.raises(PlanOutOfDate):
            asked.check("nobody", "b")

    def test_options_that_cannot_be_had_are_an_error(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        found = advice(one).check(WEB, "b", MigrationOptions(parallel_connections=2, post_copy=True))
        assert [finding.kind for finding in found.errors] == ["options"]

    def test_each_thing_about_the_vm_has_its_finding_with_a_remedy(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), a_guest("twin")))
        snapshot = one.ready()
        vm = snapshot.vms[WEB]
        devices = VmDevices(
            disks=(
                Disk("vda", "file", "disk", "/x/vda", cache="writeback"),
                Disk("vdb", "file", "disk", "/x/vdb", cache="unsafe", is_readonly=True),
            ),
            assigned=(AssignedDevice("pci", "0000:3b:00.0"), AssignedDevice("mdev", "v", is_migratable=True)),
            has_tpm_state=True,
            has_nvram=True,
        )
        vm = replace(vm, devices=devices, other_hosts=("b",))
        older = replace(snapshot.hosts["b"], hypervisor_version=6_000_000)
        twin = replace(snapshot.vms[uuid_of("twin")], name="web-1", host="b")
        snapshot = replace(
            snapshot, hosts={**snapshot.hosts, "b": older}, vms={**snapshot.vms, vm.uuid: vm, twin.uuid: twin}
        )
        found = findings_of(vm, "b", snapshot)
        kinds = {(finding.kind, finding.severity) for finding in found}
        assert kinds == {
            ("name", Severity.ERROR),
            ("device", Severity.ERROR),
            ("uuid", Severity.WARNING),
            ("cache", Severity.WARNING),
            ("tpm", Severity.WARNING),
            ("version", Severity.WARNING),
            ("nvram", Severity.NOTE),
        }
        assert all(finding.remedy for finding in found if finding.severity is not Severity.NOTE)
        assert all(finding.sentence.endswith(".") for finding in found)
        order = [finding.severity for finding in found]
        assert order == sorted(order, key=list(Severity).index), "errors first"
