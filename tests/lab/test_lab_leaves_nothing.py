"""However a lab ends, no process, link, mount or folder of it stays. Also: what happens where it cannot run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import fixtures, prerequisites
from tests.lab.commands import LabError, is_alive, wait_until
from tests.lab.fixtures import LabMaker
from tests.lab.lab import FOLDER_PREFIX, Lab, sweep

ROOT = Path(__file__).resolve().parents[2]
TINY = "a=1x1x2x1"

# A process of its own that starts a lab with a guest, says where, and waits.
OWNER = f"""
import signal
from tests.lab.lab import Lab
with Lab.start(["{TINY}"]) as lab:
    lab.guest("a", "left", dirty_mib=0)
    print(lab.folder, flush=True)
    signal.pause()
"""


class Traces:
    """Everything by which a running lab can be recognised on this machine."""

    def __init__(self, lab: Lab) -> None:
        self.folder = lab.folder
        self.link = Path(f"/sys/class/net/hpclab{lab.network.slot}")
        self.pids = {lab.supervisor_pid, lab.network.switch_pid}
        for host in lab.hosts:
            self.pids |= set(host.processes())
        assert len(self.pids) >= 4
        self.namespaces = {os.readlink(f"/proc/{pid}/ns/net") for pid in self.pids - {lab.supervisor_pid}}
        assert self.left()

    def left(self) -> list[str]:
        """What is still there."""
        found = [f"process {pid}" for pid in sorted(self.pids) if is_alive(pid)]
        found += [str(path) for path in (self.folder, self.link) if path.exists()]
        found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(self.folder) in line]
        for namespace in Path("/proc").glob("[0-9]*/ns/net"):
            try:
                target = os.readlink(namespace)
            except OSError:
                continue
            if target in self.namespaces:
                found.append(f"a process in the network namespace {target}")
        return found


def wait_for_nothing(traces: Traces) -> None:
    wait_until(lambda: not traces.left(), within_s=20, complaint="left behind")


def test_nothing_is_left_after_close(make_lab: LabMaker) -> None:
    lab = make_lab(TINY, "b=1x2x2x1:1024:16")
    lab.guest("a", "last", dirty_mib=0)
    lab.fault.freeze_daemon("b")
    traces = Traces(lab)
    lab.close()
    assert traces.left() == []
    lab.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after_the_owners_end(make_lab: LabMaker, number: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    lab = Lab.attach(Path(owner.stdout.readline().strip()))
    traces = Traces(lab)
    owner.send_signal(number)
    owner.wait()
    owner.stdout.close()
    wait_for_nothing(traces)


def test_a_killed_supervisor_takes_all_but_the_folder_and_that_is_swept(make_lab: LabMaker) -> None:
    lab = make_lab(TINY)
    traces = Traces(lab)
    os.kill(lab.supervisor_pid, signal.SIGKILL)
    # the supervisor itself is a child of this process: a zombie until close, which is not alive
    wait_until(lambda: traces.left() == [str(lab.folder)], within_s=20, complaint="more than the folder is left")
    sweep()
    assert lab.folder.exists(), "a lab that may just be starting is left alone"
    os.utime(lab.folder, (0, 0))
    sweep()
    assert not lab.folder.exists()


def test_a_failed_start_leaves_nothing(make_lab: LabMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tests.lab.host.LIBVIRTD_CONF", "this is no configuration")
    with pytest.raises(LabError, match="libvirtd"):
        make_lab(TINY)
    assert list(tmp_path.iterdir()) == []


def by_hand(*words: str, check: bool = True) -> str:
    """What `python -m tests.lab` says."""
    command = [sys.executable, "-m", "tests.lab", *words]
    return subprocess.run(command, cwd=ROOT, check=check, capture_output=True, text=True, timeout=60).stdout


def test_by_hand(make_lab: LabMaker) -> None:
    said = by_hand("up", "--host", TINY)
    lab = Lab.attach(Path(re.findall(rf"/\S*{FOLDER_PREFIX}\w+", said)[0]))
    folder = str(lab.folder)
    try:
        assert lab.host("a").uri in said
        assert "runs on a" in by_hand("guest", "--lab", folder, "a", "hello", "--dirty-mib", "0")
        by_hand("fault", "--lab", folder, "a", "kill-qemu", "hello")
        by_hand("fault", "--lab", folder, "a", "freeze-daemon")
        assert "a: not answering" in by_hand("status")
        traces = Traces(lab)
        assert f"{folder} is gone" in by_hand("down", "--lab", folder)
        wait_for_nothing(traces)
    finally:
        lab.close()


def test_run_gives_a_command_the_uris_and_cleans_up(make_lab: LabMaker, tmp_path: Path) -> None:
    said = tmp_path / "said"
    command = ("sh", "-c", 'echo "$@" "$(command -v ssh)" > "$0"; exit 7', str(said))
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", "run", "--host", TINY, "--", *command], cwd=ROOT, check=False
    )
    assert done.returncode == 7
    connect, uri, ssh = said.read_text().split()
    assert (connect, uri.partition(":")[0]) == ("--connect", "qemu+tcp")
    assert FOLDER_PREFIX in ssh
    assert not Path(ssh).exists()


@pytest.mark.parametrize(("required", "outcome"), [("0", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_missing_package_skips_or_fails(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("HPCONSOLE_REQUIRE_LAB", required)
    monkeypatch.setattr(fixtures, "missing", lambda: "the lab needs a better machine")
    with pytest.raises(outcome, match="a better machine"):
        fixtures.require_lab()


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in prerequisites.missing()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda program, path: None if program in ("ip", "tc", "sshd") else program)
    assert prerequisites.missing().endswith("apt-get install iproute2 openssh-server")
