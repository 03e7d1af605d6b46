"""What a lab guest is: its XML and its 512-byte program with a known dirty rate. Knows nothing of hpconsole.

Guests are real QEMU processes under software emulation. They boot from a read-only floppy image in the lab's folder,
which every host sees at the same path, so that they can migrate; a disk they can write to lies on "shared storage".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from tests.lab.commands import run
from tests.lab.topology import HostSpec

TICKS_PER_S = 18.2
HEARTBEAT_ADDRESS = 0x7E00  # as in dirtier.S
FLOPPY_BYTES = 1474560
HPCONSOLE_NAMESPACE = "urn:hpconsole:vm:1"


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest as it was made. `host`: where it was started, not where it may be by now."""

    name: str
    uuid: str
    host: str


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """What to make of a guest; `Lab.guest` documents each."""

    name: str
    vcpus: int = 2
    cells: int = 1
    memory_mib: int = 128
    dirty_mib: int = 16
    dirty_mib_s: float | None = 20
    pin: bool = False
    pins: Mapping[int, str] = field(default_factory=dict)
    nodes: Mapping[int, str] = field(default_factory=dict)
    numa_mode: str = "strict"
    emulator_pin: str = ""
    iothread_pins: Mapping[int, str] = field(default_factory=dict)
    huge_pages_kib: int | None = None
    metadata: str = ""
    ha: bool = False
    disk: bool = False

    @property
    def program(self) -> str:
        """The name of the image this guest boots; equal guests share it."""
        rate = "flat-out" if self.dirty_mib_s is None else f"{self.dirty_mib_s:g}"
        return f"dirtier-{self.dirty_mib}-{rate}"


def assemble(spec: GuestSpec, folder: Path) -> Path:
    """The boot image of a guest, made where it is not there yet."""
    image = folder / f"{spec.program}.img"
    if image.exists():
        return image
    first, dirty_pages = 1 << 20, spec.dirty_mib * 256
    rate = dirty_pages * TICKS_PER_S if spec.dirty_mib_s is None else spec.dirty_mib_s * 256
    symbols = {
        "FIRST": first,
        "LIMIT": first + dirty_pages * 4096,
        "CHUNK": round(rate / TICKS_PER_S) if dirty_pages else 0,
        "FLAT_OUT": int(spec.dirty_mib_s is None),
    }
    definitions = [word for name, value in symbols.items() for word in ("--defsym", f"{name}={value}")]
    code, sector = folder / f"{spec.program}.o", folder / f"{spec.program}.sector"
    run("as", "--32", *definitions, "-o", str(code), str(Path(__file__).with_name("dirtier.S")))
    run("ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", str(sector), str(code))
    finished = folder / f"{spec.program}.new"
    finished.write_bytes(sector.read_bytes().ljust(FLOPPY_BYTES, b"\0"))
    finished.rename(image)
    return image


def domain_xml(spec: GuestSpec, host: HostSpec, image: Path, uuid: str) -> str:
    """The domain XML of a guest for this host."""
    return f"""<domain type='qemu'>
  <name>{escape(spec.name)}</name>
  <uuid>{uuid}</uuid>
{_metadata(spec)}  <memory unit='MiB'>{spec.memory_mib // spec.cells * spec.cells}</memory>
{_memory_backing(spec)}  <vcpu placement='static'>{spec.vcpus}</vcpu>
{_threads_and_pins(spec, host)}  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <boot dev='fd'/>
  </os>
  <features>
    <acpi/>
  </features>
  <cpu mode='custom' match='exact'>
    <model>qemu64</model>
    <numa>
{_cells(spec)}    </numa>
  </cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='floppy'>
      <driver name='qemu' type='raw'/>
      <source file={quoteattr(str(image))}/>
      <target dev='fda' bus='fdc'/>
      <readonly/>
    </disk>
{_disk(spec, image, uuid)}    <controller type='usb' model='none'/>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


def _metadata(spec: GuestSpec) -> str:
    # the smallest of hpconsole's own metadata: what tests give in full is taken as it is
    highly_available = f"<hpc:vm xmlns:hpc='{HPCONSOLE_NAMESPACE}' high-availability='yes'/>" if spec.ha else ""
    content = spec.metadata or highly_available
    return f"  <metadata>{content}</metadata>\n" if content else ""


def disk_image(image: Path, uuid: str) -> Path:
    """Where the disk of this guest is."""
    return image.parent / "shared-storage" / f"{uuid}.img"


def _disk(spec: GuestSpec, image: Path, uuid: str) -> str:
    if not spec.disk:
        return ""
    return f"""    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file={quoteattr(str(disk_image(image, uuid)))}/>
      <target dev='vda' bus='virtio'/>
    </disk>
"""


def _memory_backing(spec: GuestSpec) -> str:
    if spec.huge_pages_kib is None:
        return ""
    page = f"<page size='{spec.huge_pages_kib}' unit='KiB'/>"
    return f"  <memoryBacking>\n    <hugepages>{page}</hugepages>\n  </memoryBacking>\n"


def _vcpus_of_cell(spec: GuestSpec, cell: int) -> range:
    each = spec.vcpus // spec.cells
    return range(cell * each, spec.vcpus if cell == spec.cells - 1 else (cell + 1) * each)


def _cells(spec: GuestSpec) -> str:
    each_mib = spec.memory_mib // spec.cells
    ranges = [_vcpus_of_cell(spec, cell) for cell in range(spec.cells)]
    return "".join(
        f"      <cell id='{cell}' cpus='{cpus[0]}-{cpus[-1]}' memory='{each_mib}' unit='MiB'/>\n"
        for cell, cpus in enumerate(ranges)
    )


def _pins_on(spec: GuestSpec, host: HostSpec) -> dict[int, str]:
    """Cell N's vCPUs one by one on the first CPUs of the host's node N."""
    if not spec.pin:
        return {}
    return {
        vcpu: str(host.node_cpus(cell)[index])
        for cell in range(spec.cells)
        for index, vcpu in enumerate(_vcpus_of_cell(spec, cell))
    }


def _threads_and_pins(spec: GuestSpec, host: HostSpec) -> str:
    pins = dict(spec.pins) or _pins_on(spec, host)
    nodes = dict(spec.nodes) or ({cell: str(cell) for cell in range(spec.cells)} if spec.pin else {})
    tune = [f"<vcpupin vcpu='{vcpu}' cpuset='{cpus}'/>" for vcpu, cpus in pins.items()]
    if spec.emulator_pin:
        tune.append(f"<emulatorpin cpuset='{spec.emulator_pin}'/>")
    tune += [f"<iothreadpin iothread='{thread}' cpuset='{cpus}'/>" for thread, cpus in spec.iothread_pins.items()]
    memory = [f"<memnode cellid='{c}' mode='{spec.numa_mode}' nodeset='{nodeset}'/>" for c, nodeset in nodes.items()]
    threads = f"  <iothreads>{max(spec.iothread_pins)}</iothreads>\n" if spec.iothread_pins else ""
    return threads + _element("cputune", tune) + _element("numatune", memory)


def _element(name: str, children: list[str]) -> str:
    if not children:
        return ""
    return "\n    ".join([f"  <{name}>", *children]) + f"\n  </{name}>\n"
