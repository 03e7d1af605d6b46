"""Domain XML -> `Vm`, and a placement or an intent -> domain XML: the names the rest of the core uses."""

from __future__ import annotations

from hpconsole.core.hypervisor.domain_editing import with_placement
from hpconsole.core.hypervisor.domain_reading import read_vm
from hpconsole.core.hypervisor.intent_xml import with_intent

__all__ = ["read_vm", "with_intent", "with_placement"]
