"""The claimed topology, as the kernel would write it. Needs no root."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.lab.topology import HostSpec, cpu_list, cpu_mask, pack_sysfs, sysfs_files, sysfs_links


def test_formats_of_the_kernel() -> None:
    assert cpu_list([9, 0, 1, 2, 4, 8]) == "0-2,4,8-9"
    assert cpu_list([]) == ""
    assert cpu_mask([0, 33], 40) == "00000002,00000001"


def test_reads_hosts_as_they_are_typed() -> None:
    assert HostSpec.parse("x=2x2x4x2:1024:8") == HostSpec("x", 2, 2, 4, 2, mib_per_node=1024, huge_2m_per_node=8)
    assert HostSpec.parse("y=1x1x2x1") == HostSpec("y", 1, 1, 2, 1)
    for wrong in ("x", "x=1x2", "x=1x1x1x1:many", "x=1x1x1x1:1:2:3"):
        with pytest.raises(ValueError, match="is no host"):
            HostSpec.parse(wrong)


def test_makes_what_libvirt_reads(tmp_path: Path) -> None:
    spec = HostSpec("x", 2, 2, 4, 2, dies_per_socket=2, l3_per_node=2, huge_1g_per_node=3)
    files = sysfs_files(spec)

    def read(path: str) -> str:
        return files[path].strip()

    assert sysfs_links(spec)["node/node3/cpu12"] == "../../cpu/cpu12"
    assert read("cpu/present") == "0-31"
    assert read("node/node3/cpulist") == "12-15,28-31"
    assert read("node/node1/distance") == "12 10 21 21"
    assert read("node/node2/hugepages/hugepages-1048576kB/free_hugepages") == "3"
    assert read("cpu/cpu22/topology/thread_siblings_list") == "6,22"
    assert read("cpu/cpu6/topology/core_siblings_list") == "0-7,16-23"
    assert (read("cpu/cpu6/topology/physical_package_id"), read("cpu/cpu6/topology/die_id")) == ("0", "1")
    assert (read("cpu/cpu10/topology/core_id"), read("cpu/cpu10/topology/die_id")) == ("2", "0")
    assert (read("cpu/cpu6/cache/index3/shared_cpu_list"), read("cpu/cpu6/cache/index3/id")) == ("6-7,22-23", "3")
    pack_sysfs(spec, tmp_path / "sys.tar")
    with tarfile.open(tmp_path / "sys.tar") as tar:
        assert set(tar.getnames()) == {*files, *sysfs_links(spec)}
        packed = tar.extractfile("node/node3/cpulist")
        assert packed is not None
        assert packed.read() == b"12-15,28-31\n"
