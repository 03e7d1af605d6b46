"""A lease kept by a host itself: one libvirt secret that only one console can hold. Knows nothing of leadership.

libvirt refuses a second secret for the same use under another UUID, whoever asks: so defining one is an atomic
"take it if nobody has it", redefining one's own a renewal, and undefining by UUID can only ever drop that very lease.
The secret has no value; its description says who holds it. It is private to nobody and survives a daemon's restart.
"""

from __future__ import annotations

import libvirt

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.port import LeaseRecord
from hpconsole.core.hypervisor.safe_xml import parse
from hpconsole.core.hypervisor.xml_editing import escaped_text

USE = "hpconsole leadership"
_LONGEST = 500
_XML = """\
<secret ephemeral='no' private='no'>
  <uuid>{uuid}</uuid>
  <description>{text}</description>
  <usage type='ceph'>
    <name>{use}</name>
  </usage>
</secret>
"""


def read_lease(connection: libvirt.virConnect) -> LeaseRecord | None:
    """Who holds the lease; None = nobody."""
    try:
        secret = connection.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_CEPH, USE)
        xml = secret.XMLDesc(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SECRET:
            return None
        raise
    try:
        text = parse(xml).findtext("description") or ""
    except InvalidXml:
        text = ""
    return LeaseRecord(secret.UUIDString(), text[:_LONGEST])


def take_lease(connection: libvirt.virConnect, uuid: str, text: str) -> bool:
    """Take the lease, or renew it under the same UUID; False if somebody else holds it."""
    xml = _XML.format(uuid=escaped_text(uuid), text=escaped_text(text[:_LONGEST]), use=escaped_text(USE))
    try:
        connection.secretDefineXML(xml, 0)
    except libvirt.libvirtError:
        held = read_lease(connection)
        if held is not None and held.uuid != uuid:
            return False
        raise
    return True


def drop_lease(connection: libvirt.virConnect, uuid: str) -> None:
    """Give the lease of this UUID back; nothing happens where it is not there (any more)."""
    try:
        connection.secretLookupByUUIDString(uuid).undefine()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SECRET:
            raise
