"""When the guard switches a host off, when it must not, and what it believes of an agent. Agents are real programs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hpconsole.core.availability.settings import AvailabilitySettings, FenceDevice
from hpconsole.core.model.host import HostStatus, LinkState
from hpconsole.core.model.vm import VmIntent
from tests.core.availability.site import UUIDS, A, B, C, Site, guest

AGENT = """#!{python}
import pathlib, sys, time
given = dict(line.rstrip("\\n").split("=", 1) for line in sys.stdin)
folder = pathlib.Path({folder!r})
with (folder / "asked").open("a") as asked:
    asked.write(given["action"] + "\\n")
{body}
"""
SOUND = """
print("Status: OFF")
sys.exit(2 if given["action"] == "status" else 0)
"""
LYING = """
print("Status: ON")
sys.exit(0)
"""
HANGING = """
for _ in range(2000):
    if (folder / "go").exists():
        break
    time.sleep(0.01)
print("Status: OFF")
sys.exit(2 if given["action"] == "status" else 0)
"""


class Agent:
    """A fence agent in a folder of its own, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.be(SOUND)

    def be(self, body: str) -> None:
        program = self.folder / "fence_test"
        program.write_text(AGENT.format(python=sys.executable, folder=str(self.folder), body=body))
        program.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        file = self.folder / "asked"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    monkeypatch.setenv("HPCONSOLE_FENCE_AGENTS", str(tmp_path))
    return Agent(tmp_path)


def equip(one: Site, *hosts: str) -> None:
    for host in hosts or (A,):
        one.app.availability.save_fence_device(FenceDevice(host, "fence_test", timeout_s=25))


def fenced(one: Site, after_s: float = 3600.0) -> None:
    """Look, and wait until the agents that were started are done."""
    one.look(after_s)
    for thread in threading.enumerate():
        if thread.name.startswith("hpc-fence-"):
            thread.join(20)


def test_a_silent_host_is_switched_off_and_only_then_its_vms_start_elsewhere(
    site: Callable[..., Site], agent: Agent
) -> None:
    one = site(host_01=[guest("bank")])
    equip(one)
    one.crash(A)
    fenced(one)
    assert agent.asked == ["off", "status"]
    assert one.running("bank") == [], "not in the same look: who fences does not wait"
    assert set(one.app.availability.off()) == {A}
    one.look()
    assert len(one.running("bank")) == 1
    fenced(one)
    assert agent.asked == ["off", "status"], "a host that is off is not fenced again"


def test_an_agent_that_cannot_say_off_afterwards_is_not_believed(site: Callable[..., Site], agent: Agent) -> None:
    one = site(host_01=[guest("bank")])
    equip(one)
    agent.be(LYING)
    one.crash(A)
    fenced(one)
    one.look()
    assert agent.asked == ["off", "status"]
    assert not one.app.availability.off()
    assert one.running("bank") == []
    assert any("could not switch host-01 off" in sentence for sentence in one.told)


def test_an_agent_is_asked_again_after_a_pause_and_never_twice_at_once(site: Callable[..., Site], agent: Agent) -> None:
    one = site(host_01=[guest("bank")])
    equip(one)
    agent.be(LYING)
    one.crash(A)
    fenced(one)
    fenced(one, 59)
    assert agent.asked.count("off") == 1
    agent.be(HANGING)
    one.look(2)
    one.look(61)
    one.look(61)
    (agent.folder / "go").touch()
    fenced(one, 0)
    assert agent.asked.count("off") == 2, "it hangs: nobody starts another one beside it"


def test_a_host_is_not_fenced_before_its_time_nor_against_the_settings(site: Callable[..., Site], agent: Agent) -> None:
    one = site(host_01=[guest("bank")])
    equip(one)
    one.crash(A)
    one.app.availability.save_settings(AvailabilitySettings(not_responding_after_s=3000))
    fenced(one, 1000)
    assert agent.asked == [], "it has not been silent for long enough"
    one.app.availability.save_settings(AvailabilitySettings(fences_automatically=False))
    fenced(one)
    assert agent.asked == []
    assert any("confirm-off" in sentence for sentence in one.told)


def test_a_host_without_highly_available_vms_of_its_own_is_left_alone(site: Callable[..., Site], agent: Agent) -> None:
    one = site(host_01=[guest("toy", VmIntent())], host_02=[guest("bank")], host_03=[guest("shop")])
    equip(one, A, B, C)
    one.app.pool.call(C, lambda at: at.force_off(UUIDS["shop"]), deadline_s=5)
    one.until(lambda: not one.app.store.snapshot.vms[UUIDS["shop"]].state.is_active)
    one.look()
    one.crash(A)
    one.crash(C)
    fenced(one)
    assert agent.asked == [], "the one runs nothing highly available, the other's was shut down on purpose"


def test_a_host_in_maintenance_and_one_that_answers_are_not_fenced(site: Callable[..., Site], agent: Agent) -> None:
    one = site(host_01=[guest("bank")], host_02=[guest("shop")])
    equip(one, A, B)
    one.app.set_host_status(A, HostStatus.MAINTENANCE, "new fans")
    one.crash(A)
    one.app.availability.save_settings(
        AvailabilitySettings(required_pools=frozenset({"nowhere"}), not_responding_after_s=1)
    )
    fenced(one)
    fenced(one)
    assert one.app.statuses.of(B).status is HostStatus.NON_OPERATIONAL
    assert agent.asked == []


def test_who_does_not_lead_fences_and_decides_nothing(site: Callable[..., Site], agent: Agent) -> None:
    one = site(host_01=[guest("bank")], host_02=[guest("shop")])
    equip(one)
    one.app.availability.save_settings(AvailabilitySettings(required_pools=frozenset({"nowhere"})))
    one.may_act = False
    one.crash(A)
    fenced(one)
    fenced(one)
    assert agent.asked == []
    assert one.app.statuses.of(B).status is HostStatus.UP
    assert not one.told


def test_the_same_is_said_once(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.crash(A)
    one.look(3600)
    one.look(3600)
    assert len([sentence for sentence in one.told if "confirm-off" in sentence]) == 1


def test_a_host_that_hangs_with_its_vms_running_is_not_taken_for_off(site: Callable[..., Site]) -> None:
    one = site(host_01=[guest("bank")])
    one.cluster.freeze(A)
    one.until(lambda: one.link(A) is not LinkState.CONNECTED)
    one.look(3600)
    one.look(3600)
    assert one.running("bank") == [], "it runs on, where nobody can see it"
    one.cluster.thaw(A)
    one.until(lambda: one.link(A) is LinkState.CONNECTED)
    one.look()
    assert one.running("bank") == [A]
