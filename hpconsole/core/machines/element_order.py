"""Where does a new child of `<domain>` go, and when does an emptied parent go with its child?"""

from __future__ import annotations

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement

# The order in which libvirt writes the children of <domain>. (Reading, it takes any.)
_ORDER = (
    *("name", "uuid", "hwuuid", "genid", "title", "description", "metadata", "maxMemory", "memory", "currentMemory"),
    *("blkiotune", "memtune", "memoryBacking", "vcpu", "vcpus", "iothreads", "iothreadids", "defaultiothread"),
    *("cputune", "numatune", "resource", "sysinfo", "bootloader", "bootloader_args", "os", "idmap", "features"),
    *("cpu", "clock", "on_poweroff", "on_reboot", "on_crash", "on_lockfailure", "pm", "perf", "devices"),
)
CPUTUNE_ORDER = _ORDER[: _ORDER.index("cputune")]


def add_child(document: XmlDocument, root: XmlElement, new: NewElement) -> None:
    """Add a child of `<domain>` where libvirt would have it."""
    document.insert_in_order(root, new, after=_ORDER[: _ORDER.index(new.name)])


def remove_child(document: XmlDocument, parent: XmlElement, *gone: XmlElement) -> None:
    """Take children out, and the parent with them if nothing else is in it."""
    rest = document.source[parent.content : parent.content_end]
    for child in gone:
        rest = rest.replace(child.text, "", 1)
    if rest.strip():
        for child in gone:
            document.remove(child)
    else:
        document.remove(parent)


def devices_of(document: XmlDocument) -> XmlElement:
    """`<devices>`.

    Raises:
        InvalidEdit: the definition has none.
    """
    devices = document.root.child("devices")
    if devices is None:
        raise InvalidEdit("xml", "The definition has no <devices> element; add one in the XML first.")
    return devices
