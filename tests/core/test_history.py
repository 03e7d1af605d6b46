"""The last hour of load: a value a second, gaps as NaN, the oldest forgotten."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from hpconsole.core.history import LoadHistory
from hpconsole.core.model.snapshot import ClusterSnapshot
from tests.builders import NOW, a_host, a_snapshot


def _at(second: float, *, cpu: float | None = 10.0, name: str = "a") -> ClusterSnapshot:
    host = a_host(name)
    usage = replace(host.usage, at=NOW + timedelta(seconds=second), cpu_pct=cpu, memory_free_kib=25)
    return a_snapshot([replace(host, usage=usage, memory_kib=100)])


def test_an_unknown_host_has_an_empty_series() -> None:
    for values in LoadHistory().series("nobody"):
        assert len(values) == 0


def test_one_value_a_second() -> None:
    history = LoadHistory()
    for second in range(4):
        history.record(_at(second, cpu=second * 10.0))
    seconds, cpu, memory = history.series("a")
    assert seconds.tolist() == [-3, -2, -1, 0]
    assert cpu.tolist() == [0, 10, 20, 30]
    assert memory.tolist() == [75, 75, 75, 75]
    assert cpu.dtype == memory.dtype == np.float32


def test_the_same_poll_seen_twice_is_one_value_and_the_last_in_a_second_counts() -> None:
    history = LoadHistory()
    for second, cpu in ((0.1, 1.0), (0.1, 1.0), (0.9, 3.0)):
        history.record(_at(second, cpu=cpu))
    assert history.series("a")[1].tolist() == [3]


def test_polls_that_come_a_little_late_leave_no_gap() -> None:
    history = LoadHistory()
    history.record(_at(0, cpu=1.0))
    history.record(_at(2, cpu=5.0))
    assert history.series("a")[1].tolist() == [1, 5, 5]


def test_a_silent_host_leaves_a_gap() -> None:
    history = LoadHistory()
    history.record(_at(0, cpu=1.0))
    history.record(_at(10, cpu=5.0))
    seconds, cpu, memory = history.series("a")
    assert seconds[0] == -10
    assert cpu[0] == 1
    assert cpu[-1] == 5
    assert np.isnan(cpu[1:-1]).all()
    assert np.isnan(memory[1:-1]).all()


def test_a_load_that_is_not_known_is_nan() -> None:
    history = LoadHistory()
    history.record(_at(0, cpu=None))
    assert np.isnan(history.series("a")[1]).all()
    assert not np.isnan(history.series("a")[2]).any()


def test_a_host_that_stopped_answering_ends_where_the_others_go_on() -> None:
    history = LoadHistory()
    for second in range(10):
        quiet = _at(min(second, 4), name="quiet")
        busy = _at(second, name="busy")
        history.record(replace(busy, hosts={**busy.hosts, **quiet.hosts}))
    seconds, cpu, _ = history.series("quiet")
    assert seconds[-1] == 0
    assert np.isnan(cpu[5:]).all()
    assert not np.isnan(cpu[:5]).any()


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_the_oldest_is_forgotten(rounds: int) -> None:
    history = LoadHistory(capacity_s=10)
    for second in range(rounds * 10 + 3):
        history.record(_at(second, cpu=second % 100))
    seconds, cpu, _ = history.series("a")
    assert len(seconds) == 10
    assert cpu.tolist() == [n % 100 for n in range(rounds * 10 - 7, rounds * 10 + 3)]


def test_after_a_night_of_silence_nothing_old_is_shown() -> None:
    history = LoadHistory(capacity_s=10)
    for second in (0, 1, 2, 50_000):
        history.record(_at(second, cpu=1.0))
    seconds, _, _ = history.series("a")
    assert seconds.tolist() == [0]


def test_a_clock_set_back_a_little_is_ignored() -> None:
    history = LoadHistory(capacity_s=100)
    for second in (50, 51, 45):
        history.record(_at(second, cpu=float(second)))
    assert history.series("a")[1].tolist() == [50, 51]


def test_steps_may_be_longer() -> None:
    history = LoadHistory(capacity_s=60, step_s=15)
    for second in range(120):
        history.record(_at(second, cpu=float(second)))
    seconds, cpu, _ = history.series("a")
    assert seconds.tolist() == [-45, -30, -15, 0]
    assert len(cpu) == 4


def test_a_host_that_is_gone_is_forgotten() -> None:
    history = LoadHistory()
    history.record(_at(0))
    history.record(_at(1, name="b"))
    assert len(history.series("a")[0]) == 0


def test_a_series_is_a_copy() -> None:
    history = LoadHistory()
    history.record(_at(0, cpu=1.0))
    history.series("a")[1][:] = 99
    assert history.series("a")[1].tolist() == [1]


def test_recording_loads_no_numpy() -> None:
    code = (
        "import sys; from hpconsole.core.history import LoadHistory; from tests.builders import a_snapshot; "
        "LoadHistory().record(a_snapshot(2)); print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
