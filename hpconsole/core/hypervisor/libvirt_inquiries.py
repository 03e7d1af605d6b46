"""Questions to a host before a migration: dirty rate, CPU, network card, files. Each over one open connection."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from uuid import uuid4

import libvirt

from hpconsole.core.errors import HypervisorError, OperationRefused
from hpconsole.core.hypervisor.libvirt_errors import UNSUPPORTED, words_of
from hpconsole.core.hypervisor.port import DirtyRate, FileTimes
from hpconsole.core.hypervisor.safe_xml import parse

_UUID = re.compile(r"<uuid>[^<]*</uuid>")
_BUSY = (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN)
_MEASURED = 2  # VIR_DOMAIN_DIRTYRATE_MEASURED
_MBIT_PER_MIB = 8 * 1.048576


def dirty_rate(connection: libvirt.virConnect, domain: libvirt.virDomain) -> DirtyRate:
    """What the last measurement of this guest found."""
    told = connection.domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_DIRTYRATE)
    stats = told[0][1] if told else {}
    for other, _ in told:
        other.__del__()  # as in `freed`: the last handle of a closed connection waits for the host
    if stats.get("dirtyrate.calc_status") != _MEASURED:
        return DirtyRate(is_measured=False)
    return DirtyRate(
        is_measured=True,
        started_at_s=int(stats.get("dirtyrate.calc_start_time", 0)),
        period_s=int(stats.get("dirtyrate.calc_period", 0)),
        mib_s=float(stats.get("dirtyrate.megabytes_per_second", 0)),  # QEMU divides by 2**20
    )


def compare_cpu(connection: libvirt.virConnect, cpu_xml: str, *, arch: str, machine: str, virt_type: str) -> str:
    """Why the hypervisor cannot give a guest this CPU; empty if it can."""
    flags = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
    try:
        answer = connection.compareHypervisorCPU(None, arch or None, machine or None, virt_type or None, cpu_xml, flags)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_CPU_INCOMPATIBLE:
            raise
        return words_of(error)
    return "" if answer > 0 else "the CPUs are incompatible"


def why_no_way(domain: libvirt.virDomain, destination_uri: str) -> str:
    """Try a migration that must fail after the source has connected (qemuMigrationSrcPerformPeer2Peer, ...BeginPhase).

    The destination's XML is that of another guest: the source refuses it (virDomainDefCheckABIStability) once it is
    connected, and before the destination is asked for anything. As it lets go of the destination again, the end of its
    ssh may overwrite that refusal (libvirt 9.0: in every second attempt on a busy machine), with the very words and
    numbers of an ssh that ended before it had connected: then nothing is proven, and another attempt may be.

    Raises:
        libvirt.libvirtError: the VM is busy or gone, or our own connection to the source broke.
    """
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE)
    another = _UUID.sub(f"<uuid>{uuid4()}</uuid>", xml, count=1)
    if another == xml:
        raise OperationRefused("libvirt's description of the VM has no UUID.", subject=domain.name())
    flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
    try:
        domain.migrateToURI3(destination_uri, {libvirt.VIR_MIGRATE_PARAM_DEST_XML: another}, flags)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _BUSY or not domain.connect().isAlive():
            raise
        if error.get_error_code() == libvirt.VIR_ERR_CONFIG_UNSUPPORTED and "does not match source" in words_of(error):
            return ""
        return words_of(error)
    return ""


def card_speed_mib_s(connection: libvirt.virConnect) -> float | None:
    """The fastest network card whose link is up."""
    try:
        cards = connection.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET)
    except libvirt.libvirtError as error:
        if error.get_error_code() in UNSUPPORTED:
            return None
        raise
    speeds = [speed for card in cards if (speed := _speed(card)) is not None]
    return max(speeds, default=None)


def _speed(card: libvirt.virNodeDevice) -> float | None:
    try:
        link = parse(card.XMLDesc(0)).find("./capability[@type='net']/link")
    except (libvirt.libvirtError, HypervisorError):
        return None  # unplugged meanwhile, or nothing that can be read
    if link is None or link.get("state") != "up":
        return None
    try:
        mbit_s = int(link.get("speed", ""))
    except ValueError:
        return None
    return mbit_s / _MBIT_PER_MIB if mbit_s > 0 else None


def has_file(connection: libvirt.virConnect, path: str) -> bool | None:
    """Whether an active pool has this path; None where no pool is about its folder."""
    try:
        connection.storageVolLookupByPath(path)
    except libvirt.libvirtError as error:
        if error.get_error_code() in UNSUPPORTED:
            return None
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    else:
        return True
    return False if _has_pool_for(connection, path) else None


def file_times(connection: libvirt.virConnect, path: str) -> FileTimes | None:
    """When the volume was changed: libvirt asks the file system anew for each description (storageVolGetXMLDesc)."""
    try:
        times = parse(connection.storageVolLookupByPath(path).XMLDesc(0)).find("./target/timestamps")
    except libvirt.libvirtError as error:
        if error.get_error_code() in (*UNSUPPORTED, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return None
        raise
    if times is None:
        return None
    try:
        return FileTimes(float(times.findtext("mtime", "")), float(times.findtext("ctime", "")))
    except ValueError:
        return None


def _has_pool_for(connection: libvirt.virConnect, path: str) -> bool:
    wanted = PurePosixPath(path).parent
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        try:
            target = parse(pool.XMLDesc(0)).findtext("./target/path", "")
        except (libvirt.libvirtError, HypervisorError):
            continue  # it went away meanwhile
        if target and PurePosixPath(target) == wanted:
            return True
    return False
