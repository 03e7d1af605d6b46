#!/usr/bin/python3
"""Start-up, CPU and memory of hpconsole beside Debian's virt-manager, alternating in one run, on a screen of their own.

    apt-get install virt-manager python3-xlib xvfb dbus
    /usr/bin/python3 tests/benchmarks/compare_virt_manager.py [--rounds 5] [--domains 1000] [--seconds 20] [--json FILE]

Both list the same domains of libvirt's test driver. Measured from outside, the same way for both:
  mapped    ms from fork to MapNotify of the first window wider than 150 px
  listed    ms until the lower two thirds of the window hold 90 % of the ink (pixels unlike the background) of the end
  cpu       seconds of CPU of the process tree in the first --seconds
  rss       MB of the process tree at the end (sum of resident sets)

Python's bytecode is compiled for both, as installed programs have it: Debian compiles virt-manager's when it is
installed; here the first round, which does not count, leaves everybody's in a folder of its own.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from Xlib import X, display

ROOT = Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
DOMAIN = """<domain type="test"><name>vm-{n:04d}</name><uuid>00000000-0000-4000-8000-{n:012d}</uuid>
<memory unit="MiB">64</memory><vcpu>4</vcpu>
<cputune><vcpupin vcpu="0" cpuset="0"/><vcpupin vcpu="1" cpuset="1"/></cputune>
<numatune><memory mode="strict" nodeset="0"/></numatune>
<os><type arch="i686">hvm</type></os>
<cpu><numa><cell id="0" cpus="0-3" memory="65536" unit="KiB"/></numa></cpu></domain>"""


def node_xml(domains: int) -> str:
    """A machine of the test driver with so many running domains."""
    machine = "<cpu><mhz>2000</mhz><model>i686</model><active>16</active><nodes>2</nodes><sockets>1</sockets>"
    machine += "<cores>4</cores><threads>2</threads></cpu><memory>268435456</memory>"
    return f"<node>{machine}{''.join(DOMAIN.format(n=n) for n in range(domains))}</node>"


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """An X server of our own."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1366x768x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        name = ":" + pipe.readline().strip()
    try:
        yield name
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def session_bus() -> Iterator[str]:
    """A D-Bus session of our own: GTK applications want one."""
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1"], stdout=subprocess.PIPE, text=True
    )
    assert daemon.stdout is not None
    try:
        yield daemon.stdout.readline().strip()
    finally:
        daemon.terminate()
        daemon.wait()


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children = collections.defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children[int((entry / "stat").read_text().rpartition(")")[2].split()[1])].append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree, ended children included."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


def rss_mb(root: int) -> float:
    """Resident memory of the tree."""
    pages = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * PAGE / 1e6


def ink(root: object, geometry: tuple[int, int, int, int]) -> float:
    """The share of sampled pixels unlike the commonest one, in the lower two thirds of a window."""
    x, y, width, height = geometry
    x, y = max(0, x), max(0, y) + height // 3
    width, height = min(width, 1366 - x), min(height - height // 3, 768 - y)
    image = root.get_image(x, y, width, height, X.ZPixmap, 0xFFFFFFFF)  # type: ignore[attr-defined]
    data = image.data if isinstance(image.data, bytes) else image.data.encode("latin-1")
    pixels = memoryview(data).cast("I")[::3]
    commonest = collections.Counter(pixels).most_common(1)[0][1]
    return 1 - commonest / len(pixels)


def measure(command: list[str], environment: dict[str, str], seconds: float) -> dict[str, float]:
    """One start of one program."""
    x = display.Display(environment["DISPLAY"])
    root = x.screen().root
    root.change_attributes(event_mask=X.SubstructureNotifyMask)
    x.sync()
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    mapped = 0.0
    geometry = (0, 0, 0, 0)
    samples: list[tuple[float, float]] = []
    next_look = 0.0
    try:
        while (now := time.monotonic() - start) < seconds:
            while x.pending_events():
                event = x.next_event()
                if event.type == X.MapNotify and not mapped:
                    size = event.window.get_geometry()
                    if size.width > 150:
                        mapped, geometry = time.monotonic() - start, (size.x, size.y, size.width, size.height)
            if mapped and now >= next_look:
                samples.append((now, ink(root, geometry)))
                # closely at first, then rarely: looking costs CPU that the programs should have
                next_look = now + (0.03 if now < seconds / 2 else 1.0)
            time.sleep(0.003 if not mapped else 0.02)
        result = {"cpu": cpu_seconds(process.pid), "rss": rss_mb(process.pid)}
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        x.close()
    final = statistics.median(value for _, value in samples[-5:]) if samples else 0.0
    listed = next((at for at, value in samples if value >= 0.9 * final), float("nan"))
    return {"mapped": mapped * 1e3, "listed": listed * 1e3, **result}


def compare(rounds: int, domains: int, seconds: float) -> dict[str, dict[str, list[float]]]:
    """Alternate the two programs."""
    rows: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder, screen() as name, session_bus() as bus:
        if domains:
            path = Path(folder) / "node.xml"
            path.write_text(node_xml(domains))
            uri = f"test://{path}"
        else:
            uri = "test:///default"
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("QT_", "XDG_", "PYTHON"))},
            "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode"),
            "DISPLAY": name,
            "DBUS_SESSION_BUS_ADDRESS": bus,
            "HOME": folder,
            "HPCONSOLE_DATA": folder,
            "GSETTINGS_BACKEND": "memory",
            "NO_AT_BRIDGE": "1",
        }
        commands = {
            "virt-manager": ["virt-manager", "--no-fork", "--connect", uri],
            "hpconsole": [str(ROOT / ".venv/bin/python"), "-m", "hpconsole", "--connect", f"test={uri}"],
        }
        for turn in range(rounds + 1):
            for program, command in commands.items():
                got = measure(command, environment, seconds)
                if turn:  # the first round warms the page cache, and compiles
                    for key, value in got.items():
                        rows.setdefault(program, {}).setdefault(key, []).append(value)
                print(turn, program, {key: round(value, 2) for key, value in got.items()}, file=sys.stderr)
    return rows


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--domains", type=int, default=0, help="0: test:///default")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = compare(options.rounds, options.domains, options.seconds)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    for key in ("mapped", "listed", "cpu", "rss"):
        theirs, ours = (statistics.median(rows[program][key]) for program in ("virt-manager", "hpconsole"))
        print(f"{key:>7}: virt-manager {theirs:9.2f}  hpconsole {ours:9.2f}  ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
