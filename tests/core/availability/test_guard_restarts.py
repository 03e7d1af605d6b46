"""Faults a guard could have: a copy too many, the wrong host, the wrong moment. A test for each, by its effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from hpconsole.core.availability.offs import KIND as OFF_KIND
from hpconsole.core.availability.restarting import CLAIM_KIND
from hpconsole.core.availability.settings import AvailabilitySettings
from hpconsole.core.errors import HypervisorError
from hpconsole.core.hypervisor.simulated.large import hosts as some_hosts
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule, ClusterSettings
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostStatus, LinkState
from hpconsole.core.model.vm import CpuPinningPolicy, VmIntent
from hpconsole.core.planning.plan import MigrateStep
from hpconsole.core.scheduler.reservations import reserve
from tests.core.availability.site import HA, UUIDS, A, B, C, Site, guest

BANK = UUIDS["bank"]


def lose(one: Site, host: str = A) -> None:
    one.crash(host)
    one.app.availability.confirm_off(host)


def test_leadership_lost_between_the_look_and_the_start_starts_nothing(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    lose(one)
    one.answers = [True, True, False]  # the guard, the restarter, the start
    one.look()
    assert not one.answers
    assert one.running("bank") == []
    one.look()
    assert len(one.running("bank")) == 1


def test_restarts_switched_off_in_the_settings_restart_nothing(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.app.availability.save_settings(AvailabilitySettings(restarts_automatically=False))
    lose(one)
    one.look(3600)
    assert one.running("bank") == []


def test_a_silent_host_that_is_only_preparing_for_maintenance_may_still_run_it(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.app.set_host_status(B, HostStatus.PREPARING_FOR_MAINTENANCE, "")
    one.crash(B)
    lose(one)
    one.look()
    assert one.running("bank") == []
    assert any(f"{B} cannot be asked" in sentence for sentence in one.told)


def test_who_was_lost_with_the_host_binds_nobody_to_it(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank"), guest("toy", VmIntent())])
    group = AffinityGroup("pair", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=(BANK, UUIDS["toy"]))
    one.app.rules.save_group(group)
    one.until(lambda: bool(one.app.store.snapshot.affinity_groups))
    lose(one)
    one.look()
    assert len(one.running("bank")) == 1, "its companion does not run on the lost host any more"


def test_what_plans_under_way_were_promised_is_not_given_away(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")], host_02=[], host_03=[])
    vm = one.app.store.snapshot.vms[BANK]
    for host in (B, C):
        memory = one.app.store.snapshot.hosts[host].memory_kib or 0
        big = replace(vm, uuid=f"big-{host}", name=f"big-{host}", memory_kib=memory, host=None)
        one.promised.append(reserve(big, host))
    lose(one)
    one.look()
    assert one.running("bank") == []
    one.promised = one.promised[:1]
    one.look(3600)
    assert one.running("bank") == [C]


def test_a_proof_ends_when_the_host_answers_and_does_not_come_back_with_the_next_loss(
    site: Callable[..., Site],
) -> None:
    one = site(host_01=[guest("bank", autostart=True)])
    lose(one)
    one.cluster.boot(A)
    one.until(lambda: one.link(A) is LinkState.CONNECTED and one.app.store.snapshot.vms[BANK].state.is_active)
    one.look()
    assert one.documents.get(OFF_KIND, A) is None
    one.crash(A)
    assert not one.app.availability.off(), "an old proof says nothing of this silence"


def test_a_console_that_starts_after_the_loss_restarts_what_was_pinned_there(site: Callable[..., Site]) -> None:
    intent = VmIntent(high_availability=True, cpu_pinning_policy=CpuPinningPolicy.DEDICATED)
    pins = tuple(CpuSet.of([cpu]) for cpu in (4, 5))
    first = site(host_01=[guest("bank", intent, vcpu_pins=pins)])
    documents = first.documents
    first.app.close()
    first.cluster.crash(A)
    later = site(site=partial(Site, documents=documents, cluster=first.cluster))
    assert later.running("bank") == []
    later.app.availability.confirm_off(A)
    later.look()
    (home,) = later.running("bank")
    vm_pins = later.app.pool.call(home, lambda at: at.domain_xml(BANK), deadline_s=5)
    assert vm_pins.count("<vcpupin") == 2, "the shape of its pinning is read from a host nobody sees any more"


def test_maintenance_is_nobody_else_s_to_end_or_to_rename(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.app.set_host_status(B, HostStatus.MAINTENANCE, "new fans")
    one.look(3600)
    assert one.app.statuses.of(B).status is HostStatus.MAINTENANCE
    one.app.availability.save_settings(AvailabilitySettings(required_pools=frozenset({"nowhere"})))
    one.look()
    one.look(3600)
    assert (one.app.statuses.of(B).status, one.app.statuses.of(B).reason) == (HostStatus.MAINTENANCE, "new fans")
    assert one.app.statuses.of(C).status is HostStatus.NON_OPERATIONAL


def test_an_unfit_host_is_evacuated_once_and_not_to_another_unfit_one(site: Callable[..., Site]) -> None:
    models = tuple(replace(model, networks=("default",)) for model in some_hosts(2))
    models = (*models, some_hosts(3)[2])
    one = site(
        site=partial(Site, models=models),
        host_01=[guest("bank")],
        host_02=[guest("shop")],
    )
    one.app.rules.save_settings(ClusterSettings(required_networks=frozenset({"prod"})))
    one.until(lambda: bool(one.app.store.snapshot.settings.required_networks))
    one.look()
    assert not one.submitted, "trouble has to last"
    one.look(3600)
    one.look(10)
    moves = [step for plan in one.submitted for step in plan.steps if isinstance(step, MigrateStep)]
    assert sorted((step.vm_name, step.source, step.destination) for step in moves) == [("bank", A, C), ("shop", B, C)]
    one.look(61)
    assert len(one.submitted) == 4, "they are still there: tried again after a minute"


def test_a_start_that_fails_leaves_no_definition_and_is_tried_on_another_host(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    tried: list[str] = []

    def refuse_first(host: str) -> None:
        tried.append(host)
        claim = one.documents.get(CLAIM_KIND, BANK)
        assert claim is not None, "what is begun is written down before"
        assert (claim["phase"], claim["host"], claim["old_host"]) == ("starting", host, A)
        if len(tried) == 1:
            raise HypervisorError(f"{host} has no room.")

    one.before_start = refuse_first
    lose(one)
    one.look()
    assert one.running("bank") == []
    records = one.app.pool.call(tried[0], lambda at: at.sample().domains, deadline_s=5)
    assert not records, "no definition is left behind"
    one.look()
    assert sorted(tried) == [B, C]
    assert one.running("bank") == [tried[1]]
    claim = one.documents.get(CLAIM_KIND, BANK)
    assert claim is not None
    assert claim["phase"] == "started"


def test_a_definition_that_somebody_keeps_there_survives_a_failed_start(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    xml = one.app.pool.call(A, lambda at: at.definition(BANK), deadline_s=5)
    for host in (B, C):
        one.app.pool.call(host, lambda at: at.define(xml), deadline_s=5)

    def refuse(host: str) -> None:
        raise HypervisorError(f"{host} has no room.")

    one.before_start = refuse
    lose(one)
    one.look()
    for host in (B, C):
        records = one.app.pool.call(host, lambda at: at.sample().domains, deadline_s=5)
        assert [record.uuid for record in records] == [BANK]


def test_a_start_whose_host_fell_silent_is_looked_for_before_it_is_tried_elsewhere(
    site: Callable[..., Site],
) -> None:
    one = site(host_01=[guest("bank")])
    tried: list[str] = []

    def fall_silent(host: str) -> None:
        tried.append(host)
        raise TimeoutError

    one.before_start = fall_silent
    lose(one)
    one.look()
    one.look()
    assert len(tried) == 1, "it may have started there: not elsewhere in the same breath"
    assert any("fell silent while bank was started" in sentence for sentence in one.told)
    one.before_start = tried.append
    one.look(31)
    assert len(one.running("bank")) == 1


def test_a_vm_that_its_old_host_would_start_itself_is_not_restarted(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank", autostart=True)])
    lose(one)
    one.look()
    assert one.running("bank") == []
    assert any("would start a second copy" in sentence for sentence in one.told)


def test_a_refused_restart_waits_its_pause(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.crash(B)
    lose(one)
    one.look()
    one.cluster.boot(B)
    one.app.poller.refresh(B)
    one.until(lambda: one.link(B) is LinkState.CONNECTED)
    one.look(29)
    assert one.running("bank") == []
    one.look(2)
    assert len(one.running("bank")) == 1


def test_a_host_that_was_confirmed_and_answers_all_the_same_is_asked(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    where = one.guard._restarter.ask_everywhere({A})
    assert where.running_on(BANK) == (A,)
    assert not where.silent


def test_two_copies_are_pointed_out_and_no_running_one_is_forgotten(site: Callable[..., Site]) -> None:
    """Somebody starts the old copy by hand while the restarted one runs."""
    one = site(host_01=[guest("bank", HA)])
    lose(one)
    one.look()
    (home,) = one.running("bank")
    one.cluster.boot(A)
    connection = one.cluster.open(one.cluster.uris()[A])
    connection.start(BANK)
    connection.close()
    one.app.poller.refresh(A)
    one.until(lambda: bool(one.app.store.snapshot.vms[BANK].also_running_on))
    one.look()
    one.look()
    assert len([sentence for sentence in one.told if "stop the older copy now" in sentence]) == 1
    assert sorted(one.running("bank")) == sorted((A, home))
    assert one.documents.get(CLAIM_KIND, BANK) is not None


def stopped_where_it_was_restarted(one: Site) -> str:
    """Its host was lost and is back: two hosts define it. Where it was restarted, and has been stopped since."""
    lose(one)
    one.look()
    (home,) = one.running("bank")
    one.cluster.boot(A)
    one.app.poller.refresh(A)
    one.until(lambda: A in one.app.store.snapshot.vms[BANK].other_hosts)
    one.app.pool.call(home, lambda at: at.force_off(BANK), deadline_s=5)
    return home


def test_a_vm_that_somebody_moved_back_to_its_old_host_keeps_its_definition_there(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    home = stopped_where_it_was_restarted(one)
    one.app.pool.call(home, lambda at: at.undefine(BANK), deadline_s=5)
    one.app.pool.call(A, lambda at: at.start(BANK), deadline_s=5)
    one.until(lambda: one.app.store.snapshot.vms[BANK].host == A and not one.app.store.snapshot.vms[BANK].other_hosts)
    one.look()
    records = one.app.pool.call(A, lambda at: at.sample().domains, deadline_s=5)
    assert [(record.uuid, record.is_persistent) for record in records] == [(BANK, True)]


def test_the_old_definition_stays_while_nobody_runs_the_vm(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    stopped_where_it_was_restarted(one)
    one.until(lambda: not one.app.store.snapshot.vms[BANK].state.is_active)
    one.look()
    records = one.app.pool.call(A, lambda at: at.sample().domains, deadline_s=5)
    assert [record.uuid for record in records] == [BANK], "it may be the only one left that is wanted"


def test_another_loss_does_not_wait_for_the_pause_of_the_one_before(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    for host in (B, C):
        one.app.set_host_status(host, HostStatus.MAINTENANCE, "")
    one.until(lambda: all(one.app.store.snapshot.hosts[h].status is HostStatus.MAINTENANCE for h in (B, C)))
    lose(one)
    one.look()
    assert one.running("bank") == [], "no host is left"
    one.cluster.boot(A)
    one.app.poller.refresh(A)
    one.until(lambda: one.link(A) is LinkState.CONNECTED and not one.app.store.snapshot.vms[BANK].state.is_active)
    one.look()
    assert one.running("bank") == [A], "its host is back without it: that is another loss"


def _unwatched_for(one: Site, host: str, how_long: timedelta) -> None:
    """As if no console had looked for so long."""
    documents = one.app.documents
    body = documents.get(OFF_KIND, host)
    assert body is not None
    then = (datetime.now(UTC) - how_long).isoformat()
    documents.save(OFF_KIND, host, dict(body) | {"at": then, "watched_at": then})


def test_a_host_that_nobody_watched_may_have_come_back(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    lose(one)
    _unwatched_for(one, A, timedelta(hours=1))
    one.look(3600)
    assert one.running("bank") == [], "it may have come back with its VMs and fallen silent again"
    assert any(f"Nobody watched {A}" in sentence for sentence in one.told)
    one.app.availability.confirm_off(A)
    one.look(3600)
    assert len(one.running("bank")) == 1


def test_a_host_that_is_watched_stays_off(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    lose(one)
    _unwatched_for(one, A, timedelta(minutes=1))
    one.look()
    (proof,) = one.app.availability.off().values()
    assert datetime.now(UTC) - proof.watched_at < timedelta(seconds=30)
    assert len(one.running("bank")) == 1


def test_whom_no_host_answers_has_watched_nothing(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    lose(one)
    one.crash(B)
    one.crash(C)
    _unwatched_for(one, A, timedelta(minutes=1))
    assert one.app.availability.watch_proofs() == ()
    (proof,) = one.app.availability.off().values()
    assert datetime.now(UTC) - proof.watched_at > timedelta(seconds=30)
