"""Domain definitions for the XML tests: others' files where they are present, and our own of an awkward kind."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from hpconsole.core.hypervisor.port import DomainRecord

_DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
_SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")

RECORD = DomainRecord("7a1c6d0e-3b7d-4f0a-9c55-1f6f7f0f0001", "vm-1", 1, 1, is_persistent=True, autostart=False)

# As libvirt writes it: two virtual nodes, everything pinned, things beside the pinning that must survive.
PINNED = """<domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>vm-1</name>
  <uuid>7a1c6d0e-3b7d-4f0a-9c55-1f6f7f0f0001</uuid>
  <title>R&amp;D &#x2014; &lt;main&gt;</title>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>8388608</currentMemory>
  <memoryBacking>
    <hugepages>
      <page size='2048' unit='KiB' nodeset='0-1'/>
    </hugepages>
  </memoryBacking>
  <vcpu placement='static' current='4'>8</vcpu>
  <iothreads>2</iothreads>
  <cputune>
    <shares>2048</shares>
    <vcpupin vcpu='0' cpuset='2'/>
    <vcpupin vcpu='1' cpuset='10'/>
    <!-- the second virtual node -->
    <vcpupin vcpu='2' cpuset='3'/>
    <vcpupin vcpu='3' cpuset='11'/>
    <emulatorpin cpuset='0,8'/>
    <iothreadpin iothread='1' cpuset='0'/>
    <iothreadpin iothread='2' cpuset='8'/>
    <vcpusched vcpus='0-3' scheduler='fifo' priority='1'/>
    <cachetune vcpus='0-3'>
      <cache id='0' level='3' type='both' size='3' unit='MiB'/>
    </cachetune>
  </cputune>
  <numatune>
    <memory mode='strict' nodeset='0-1'/>
    <memnode cellid='0' mode='strict' nodeset='0'/>
    <memnode cellid='1' mode='strict' nodeset='1'/>
  </numatune>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <nvram>/var/lib/libvirt/qemu/nvram/vm-1_VARS.fd</nvram>
  </os>
  <cpu mode='host-passthrough' check='none' migratable='on'>
    <topology sockets='2' dies='1' cores='2' threads='2'/>
    <feature policy='require' name='invtsc'/>
    <feature policy='disable' name='vmx'/>
    <numa>
      <cell id='0' cpus='0-1,4-5' memory='4194304' unit='KiB'/>
      <cell id='1' cpus='2-3,6-7' memory='4' unit='GiB'/>
    </numa>
  </cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/srv/vm-1.qcow2' index='1'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <source network='prod' portid='f3b7b2c0-0000-4000-8000-000000000001' bridge='virbr1'/>
      <link state='down'/>
    </interface>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source>
        <address domain='0x0000' bus='0x3b' slot='0x00' function='0x1'/>
      </source>
    </hostdev>
    <tpm model='tpm-crb'>
      <backend type='emulator' version='2.0'/>
    </tpm>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-set'/>
  </qemu:commandline>
</domain>
"""

# Well-formed, and everything that a serialiser would change: declaration, quotes, blanks, CDATA, entities, comments.
AWKWARD = """<?xml version="1.0" encoding='ISO-8859-1' ?>
<!-- <domain type='fake'> > -->
<?tool keep="this" ?>
<domain   type = "kvm"
    xmlns:q='urn:q' q:note = "a>b/"  ><name ><![CDATA[a <vcpupin vcpu='0' cpuset='9'/> & b]]></name >
\t<vcpu cpuset = '0-3,^2'\tplacement="static"  >2</vcpu><memory>1048576</memory>\r
<q:cputune><vcpupin vcpu="0" cpuset="1"/></q:cputune>
  <cputune
  ><vcpupin   cpuset='&#49;'  vcpu="00"></vcpupin><!-- <emulatorpin/> --><shares>1</shares   ></cputune>
  <description>caf\u00e9 \U0001f680 &quot;&#10;</description>
  <empty></empty><devices/>
</domain>
<!-- after -->

"""

# Without a single blank between elements.
DENSE = (
    '<domain type="qemu"><name>d</name><memory unit="MiB">512</memory><vcpu>2</vcpu>'
    '<os><type arch="aarch64" machine="virt">hvm</type></os><cpu><numa>'
    '<cell cpus="0" memory="256" unit="MiB"/><cell cpus="1" memory="256" unit="MiB"/></numa></cpu></domain>'
)

CRLF = PINNED.replace("\n", "\r\n")

OWN = {"pinned": PINNED, "awkward": AWKWARD, "dense": DENSE, "crlf": CRLF}


def foreign_files(kind: str) -> list[Path]:
    """Files made by others: `domain-xml` or `capabilities-xml`; empty where the folder is absent."""
    return sorted((_DATA / kind).glob("*.xml"))


def foreign(kind: str) -> pytest.MarkDecorator:
    """Run the test for each file made by others; one skipped case where the folder is absent."""
    files = foreign_files(kind)
    if files:
        return pytest.mark.parametrize("path", files, ids=lambda path: path.stem)
    skipped = pytest.mark.skip(reason=f"the folder of {kind} files made by others is not here")
    return pytest.mark.parametrize("path", [pytest.param(Path(), marks=skipped)])


def text_of(path: Path) -> str:
    """The file as it is, line ends included."""
    return path.read_bytes().decode()


@cache
def schema() -> etree.RelaxNG:
    """The schema of domains that libvirt ships (what virt-xml-validate uses). Skips where it is not installed."""
    if not _SCHEMA.exists():
        pytest.skip("libvirt's schemas are not installed (Debian: libvirt0)")
    return etree.RelaxNG(file=str(_SCHEMA))


def schema_errors(xml: str) -> str:
    """What libvirt's schema has against this domain; empty = nothing."""
    rules = schema()
    rules.validate(etree.fromstring(xml.encode(), etree.XMLParser(encoding="utf-8")))
    return "\n".join(str(entry) for entry in rules.error_log)
