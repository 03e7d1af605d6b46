"""A guest that writes faster than the link carries: helped by QEMU's throttle, or given up; never lost."""

from __future__ import annotations

from pathlib import Path

from hpconsole.core.events import StepOutcome, StepProgressed
from tests.lab.lab import Lab
from tests.lab.proof import check_is_on
from tests.lab.test_migration import Watch, plan_for, running_app


def test_a_guest_that_writes_faster_than_the_link_carries_is_not_migrated_for_ever(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "busy", vcpus=1, memory_mib=128, dirty_mib=64, dirty_mib_s=None)
    lab.fault.shape("a", "200mbit")
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        app.submit(plan_for(app, guest, to="b"))
        end = watch.end()
    steps = [event.progress for event in watch.events if isinstance(event, StepProgressed)]
    assert end.outcome in (StepOutcome.DONE, StepOutcome.FAILED), end
    assert 150 in {progress.downtime_limit_ms for progress in steps}
    assert any("allowing a pause of" in progress.sentence for progress in steps)
    if end.outcome is StepOutcome.FAILED:
        assert "made no headway" in end.sentence
    here, there = ("b", "a") if end.outcome is StepOutcome.DONE else ("a", "b")
    check_is_on(lab, here, guest, not_on=there)
