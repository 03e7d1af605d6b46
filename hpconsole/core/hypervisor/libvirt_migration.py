"""A migration in libvirt's terms: flags and parameters for the request, and job statistics as a value."""

from __future__ import annotations

from collections.abc import Mapping

import libvirt

from hpconsole.core.hypervisor.port import JobStats, MigrationRequest, MigrationTransport


def migration_terms(request: MigrationRequest, *, is_persistent: bool) -> tuple[int, dict[str, str | int]]:
    """The flags and parameters of virDomainMigrate3/ToURI3 for this request.

    Args:
        is_persistent: Whether the source has a definition to hand over; a transient VM stays one.
    """
    choices = {
        libvirt.VIR_MIGRATE_PEER2PEER: request.transport is MigrationTransport.PEER_TO_PEER,
        libvirt.VIR_MIGRATE_PERSIST_DEST: is_persistent,
        libvirt.VIR_MIGRATE_UNDEFINE_SOURCE: is_persistent and request.undefine_source,
        libvirt.VIR_MIGRATE_AUTO_CONVERGE: request.auto_converge,
        libvirt.VIR_MIGRATE_COMPRESSED: request.compressed,
        libvirt.VIR_MIGRATE_POSTCOPY: request.post_copy or request.resume_post_copy,
        libvirt.VIR_MIGRATE_POSTCOPY_RESUME: request.resume_post_copy,
        libvirt.VIR_MIGRATE_PARALLEL: request.parallel_connections is not None,
        libvirt.VIR_MIGRATE_TLS: request.tls,
    }
    # ABORT_ON_ERROR: a guest whose disk fails on the way stays where it is, instead of being moved paused
    flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    flags |= sum(flag for flag, is_chosen in choices.items() if is_chosen)
    parameters: dict[str, str | int | None] = {
        libvirt.VIR_MIGRATE_PARAM_URI: request.migrate_uri,
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: request.destination_xml,
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: request.persistent_xml if is_persistent else None,
        libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: request.bandwidth_mib_s,
        libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS: request.parallel_connections,
    }
    return flags, {name: value for name, value in parameters.items() if value is not None}


def read_job_stats(stats: Mapping[str, object]) -> JobStats:
    """The dictionary of virDomainGetJobStats as a value."""

    def count(name: str) -> int | None:
        value = stats.get(name)
        return int(value) if isinstance(value, int | float) else None

    return JobStats(
        job_type=count("type") or 0,
        operation=count("operation") or 0,
        elapsed_ms=count("time_elapsed"),
        downtime_ms=count("downtime"),
        setup_ms=count("setup_time"),
        memory_total_bytes=count("memory_total"),
        memory_processed_bytes=count("memory_processed"),
        memory_remaining_bytes=count("memory_remaining"),
        memory_bps=count("memory_bps"),
        dirty_rate_pages_s=count("memory_dirty_rate"),
        zero_pages=count("memory_constant"),
        page_size_bytes=count("memory_page_size"),
        iteration=count("memory_iteration"),
        auto_converge_throttle_pct=count("auto_converge_throttle"),
        postcopy_requests=count("memory_postcopy_requests"),
        disk_remaining_bytes=count("disk_remaining"),
        error=str(stats.get("errmsg", "")),
    )
