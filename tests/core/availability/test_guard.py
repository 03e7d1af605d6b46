"""The guard over a simulated cluster: hosts lose power, VMs come back once, and nothing is started on a guess."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hpconsole.core.availability.definitions import KIND, stored_definitions
from hpconsole.core.availability.restarting import CLAIM_KIND
from hpconsole.core.availability.settings import AvailabilitySettings, Evacuation
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.host import HostStatus, LinkState
from hpconsole.core.model.vm import MigrationMode, VmIntent
from tests.core.availability.site import UUIDS, A, B, C, Site, guest


def test_a_confirmed_loss_brings_back_the_highly_available_ones_once(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank"), guest("toy", VmIntent())])
    assert set(stored_definitions(one.documents)) == {UUIDS["bank"]}
    with pytest.raises(InvalidEdit, match="answers"):
        one.app.availability.confirm_off(A)
    one.crash(A)
    one.look(3600)
    assert one.running("bank") == [], "silence is no proof"
    assert any("confirm-off" in sentence for sentence in one.told)

    one.app.availability.confirm_off(A)
    for _ in range(3):
        one.look()
    (home,) = one.running("bank")
    assert home in (B, C)
    assert one.running("toy") == []
    assert one.documents.get(CLAIM_KIND, UUIDS["bank"]) is not None

    one.cluster.boot(A)
    one.app.poller.refresh(A)
    one.until(lambda: one.link(A) is LinkState.CONNECTED and one.app.store.snapshot.vms[UUIDS["bank"]].host == home)
    one.until(lambda: A in one.app.store.snapshot.vms[UUIDS["bank"]].other_hosts)
    one.look()
    one.until(lambda: not one.app.store.snapshot.vms[UUIDS["bank"]].other_hosts)
    assert one.documents.get(CLAIM_KIND, UUIDS["bank"]) is None
    assert not one.app.availability.off()
    one.look(3600)
    assert one.running("bank") == [home]


def test_a_second_silent_host_might_run_it_so_nothing_is_started(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.crash(A)
    one.crash(B)
    one.app.availability.confirm_off(A)
    one.look()
    assert one.running("bank") == []
    assert any("cannot be asked, and it might run there" in sentence for sentence in one.told)
    one.app.set_host_status(B, HostStatus.MAINTENANCE, "")
    one.look(3600)
    assert one.running("bank") == [C], "a host in maintenance is empty by decision"


def test_who_does_not_lead_starts_nothing(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.crash(A)
    one.app.availability.confirm_off(A)
    one.may_act = False
    one.look(3600)
    assert one.running("bank") == []


def test_a_vm_that_was_shut_down_on_purpose_stays_down(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.app.pool.call(A, lambda at: at.force_off(UUIDS["bank"]), deadline_s=5)
    one.until(lambda: not one.app.store.snapshot.vms[UUIDS["bank"]].state.is_active)
    one.look()
    one.crash(A)
    one.app.availability.confirm_off(A)
    one.look(3600)
    assert one.running("bank") == []


def test_a_host_that_rebooted_by_itself_lost_its_vms_too(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.crash(A)
    one.cluster.boot(A)
    one.app.poller.refresh(A)
    one.until(
        lambda: one.link(A) is LinkState.CONNECTED and not one.app.store.snapshot.vms[UUIDS["bank"]].state.is_active
    )
    one.look()
    one.look()
    assert len(one.running("bank")) == 1
    assert any("without being asked" in sentence for sentence in one.told)


def test_a_start_that_fails_is_tried_on_another_host_and_leaves_nothing(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.crash(A)
    body = dict(one.documents.get(KIND, UUIDS["bank"]) or {})
    one.documents.save(KIND, UUIDS["bank"], {**body, "xml": body["xml"].replace("pc-q35-7.2", "pc-q35-99")})
    one.app.availability.confirm_off(A)
    one.look()
    one.look()
    assert one.running("bank") == []
    for name in (B, C):
        records = one.app.pool.call(name, lambda at: at.sample().domains, deadline_s=5)
        assert not records, "no definition is left behind"
    assert any("machine" in sentence or "could not be started" in sentence for sentence in one.told)


def test_what_is_left_of_an_unfinished_start_is_looked_for_first(site: Callable[..., Site]) -> None:
    """A console wrote its claim, started the VM, and died: the next one must not start it again."""
    one = site(host_01=[guest("bank")])
    one.crash(A)
    proof = one.app.availability.confirm_off(A)
    xml = stored_definitions(one.documents)[UUIDS["bank"]].xml
    one.documents.add(
        CLAIM_KIND, UUIDS["bank"], {"incident": proof.incident, "old_host": A, "host": C, "phase": "starting"}
    )
    one.app.pool.call(C, lambda at: at.define(xml), deadline_s=5)
    one.app.pool.call(C, lambda at: at.start(UUIDS["bank"]), deadline_s=5)
    one.look()
    assert one.running("bank") == [C]


def test_an_unfit_host_is_left_by_automatic_vms_only(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank"), guest("shop", VmIntent(migration_mode=MigrationMode.MANUAL))])
    settings = AvailabilitySettings(
        required_pools=frozenset({"nowhere"}), trouble_after_s=10, evacuation=Evacuation.ALL
    )
    one.app.availability.save_settings(settings)
    one.look()
    assert one.app.statuses.of(A).status is HostStatus.UP, "trouble has to last"
    one.look(20)
    assert one.app.statuses.of(A).status is HostStatus.NON_OPERATIONAL
    assert "nowhere" in one.app.statuses.of(A).reason
    assert any("shop stays" in sentence for sentence in one.told)
    one.app.availability.save_settings(AvailabilitySettings())
    one.look()
    assert one.app.statuses.of(A).status is HostStatus.UP, "it is fit again"
