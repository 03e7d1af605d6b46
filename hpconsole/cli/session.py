"""A console for one command (or for the window): which hosts, started, every host waited for, and closed again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpconsole.app import App, default_data_folder
from hpconsole.cli.exit_codes import UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.terminal import complain
from hpconsole.core.errors import HostUnreachable, HpconsoleError
from hpconsole.core.hypervisor.uri import parse_uri
from hpconsole.core.model.host import Host, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm

# libvirt's other drivers (test, LXC ...) have no CPU statistics to wait for
_TELL_THEIR_LOAD = ("QEMU", "Xen")

# Opening the database and loading the program: long on a machine that is busy, and no host is waited for meanwhile.
_START_S = 60.0


def build_app(options: Options, *, watches: bool = False) -> App:
    """The app these options ask for, not yet started. `watches`: it looks after the cluster by itself (the window)."""
    if options.demo_seed is not None:
        from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster

        cluster = SimulatedCluster.demo(options.demo_seed)
        return App(cluster.uris(), opener=cluster.open, data=options.data, watches=watches)
    return App(options.hosts, data=options.data or default_data_folder(), watches=watches)


@contextmanager
def session(options: Options) -> Iterator[App]:
    """A started app whose hosts have answered, or have been given up after the time-out."""
    app = build_app(options)
    app.start()
    try:
        if not app.wait_ready(max(options.timeout_s, _START_S)):
            raise HpconsoleError("The console could not start in time; nothing was changed.")
        if not app.pool.names():
            raise UsageError("No hosts are configured: name some by --connect URI, or add them in the window.")
        _wait_for_hosts(app, options.timeout_s)
        yield app
    finally:
        app.close()


@contextmanager
def snapshot_of(scenario: Path | None, options: Options) -> Iterator[tuple[ClusterSnapshot, tuple[str, ...]]]:
    """A saved snapshot, or what the hosts answer now; and the names of the hosts that were asked, in their order.

    Raises:
        ScenarioError: the file cannot be used.
        UsageError: a file and hosts were named, or no hosts at all.
    """
    if scenario is None:
        with session(options) as app:
            yield app.store.snapshot, app.pool.names()
        return
    if options.hosts or options.demo_seed is not None:
        raise UsageError("--scenario asks a saved snapshot and no hosts: leave out --connect and --demo.")
    from hpconsole.core.scheduler.scenario import load

    saved = load(scenario)
    yield saved, tuple(saved.hosts)


def _wait_for_hosts(app: App, timeout_s: float) -> None:
    settled = threading.Event()

    def look(snapshot: ClusterSnapshot) -> None:
        states = [snapshot.hosts.get(name) for name in app.pool.names()]
        if all(host is not None and _is_settled(host) for host in states):
            settled.set()

    stop = app.store.subscribe(look)
    look(app.store.snapshot)
    settled.wait(timeout_s)
    stop()
    for name in app.pool.names():
        host = app.store.snapshot.hosts.get(name)
        warning = parse_uri(app.pool.uri(name)).warning
        if warning:
            complain(f"{name}: {warning}")
        if host is None or host.link.state is not LinkState.CONNECTED:
            problem = host.link.problem if host is not None and host.link.problem else "it does not answer."
            complain(f"host {name} is left out: {problem}")


def _is_settled(host: Host) -> bool:
    """Answered with its load (which takes two polls: it is a difference of counters), or found not to answer."""
    if host.link.state is LinkState.CONNECTED:
        return host.usage.cpu_pct is not None or host.hypervisor not in _TELL_THEIR_LOAD
    return host.link.state is not LinkState.CONNECTING


def _no_such_vm(snapshot: ClusterSnapshot, text: str) -> HpconsoleError:
    silent = sorted(host.name for host in snapshot.hosts.values() if host.link.state is not LinkState.CONNECTED)
    if silent:
        sentence = f"No VM is named {text} on the hosts that answered; {', '.join(silent)} did not."
        return HostUnreachable(sentence, subject=text)
    return UsageError(f"There is no VM named {text}. `hpconsole vms` lists them all.", subject=text)


def find_vm(snapshot: ClusterSnapshot, text: str) -> Vm:
    """The VM of this UUID or name.

    Raises:
        UsageError: there is none, or the name is not unique.
        HostUnreachable: there is none on the hosts that answered.
    """
    if text in snapshot.vms:
        return snapshot.vms[text]
    found = list(snapshot.vm_named(text))
    if not found:
        raise _no_such_vm(snapshot, text)
    if len(found) > 1:
        uuids = ", ".join(f"{vm.uuid} on {vm.host}" for vm in found)
        raise UsageError(f"Several VMs are named {text}: give the UUID instead ({uuids}).", subject=text)
    return found[0]
