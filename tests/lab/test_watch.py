"""Two consoles watch the same real hosts: exactly one acts, and when it is gone without a word, the other does.

pytest tests/lab/test_watch.py -m long
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.core.balancing.watch import Pace, Watch
from hpconsole.core.events import Event, PlanSubmitted
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from tests.lab.commands import wait_until
from tests.lab.guests import Guest
from tests.lab.lab import Lab

LIFE_S = 4.0


class Console:
    """An app of its own, with a database of its own, and the plans it submitted."""

    def __init__(self, lab: Lab, data: Path, group: AffinityGroup) -> None:
        self.app = App(lab.uris(), data=data, interval_s=0.5)
        self.plans: list[str] = []
        self._lock = threading.Lock()
        self.app.store.subscribe_events(self._on_event)
        self.app.start()
        assert self.app.wait_ready(20)
        self.app.rules.save_group(group)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, PlanSubmitted):
            with self._lock:
                self.plans.append(event.plan.reason)

    def watch(self) -> Watch:
        return self.app.start_watching(pace=Pace(round_s=1, look_s=0.3), life_s=LIFE_S)


def homes(lab: Lab, guests: list[Guest]) -> list[str]:
    running = lab.qemu_processes()
    return [host for guest in guests for host in running.get(guest.uuid, ())]


@pytest.mark.long
def test_exactly_one_of_two_consoles_acts_and_the_other_follows_it(lab: Lab, tmp_path: Path) -> None:
    guests = [lab.guest("a", f"twin-{number}", vcpus=1, memory_mib=64, dirty_mib=0) for number in range(2)]
    apart = AffinityGroup(
        "apart", vm_rule=AffinityRule.NEGATIVE, is_vm_rule_enforced=True, vms=tuple(guest.uuid for guest in guests)
    )
    first = Console(lab, tmp_path / "first", apart)
    second = Console(lab, tmp_path / "second", apart)
    try:
        leading = first.watch()
        wait_until(lambda: leading.leadership.is_mine, within_s=30, complaint="the first console does not lead")
        following = second.watch()
        wait_until(lambda: len(set(homes(lab, guests))) == 2, within_s=60, complaint=f"not kept apart: {first.plans}")
        assert len(first.plans) == 1
        assert "breaks the affinity of apart" in first.plans[0]
        assert second.plans == []
        assert "Another console acts" in following.leadership.sentence

        # the first one falls silent without giving its lease back
        leading._over.set()
        away = homes(lab, guests)
        together = AffinityGroup(
            "apart", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=tuple(guest.uuid for guest in guests)
        )
        second.app.rules.save_group(together)
        assert len(set(away)) == 2
        wait_until(
            lambda: len(homes(lab, guests)) == 2 and len(set(homes(lab, guests))) == 1,
            within_s=90,
            complaint=f"the second console does not act: {following.leadership}, {following.last}",
        )
        assert len(first.plans) == 1
        assert len(second.plans) == 1
    finally:
        first.app.close()
        second.app.close()
