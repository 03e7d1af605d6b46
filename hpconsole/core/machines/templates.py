"""Templates: a VM's whole configuration, pinning included, from which VMs are made. Values, and where they are kept.

The definition itself is kept, without what belongs to one VM (UUID, MAC addresses, NVRAM file, passwords). A kept
shape is read from the topology of the host the template comes from, which is kept with it: the template also works in
a cluster without that host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hpconsole.core.errors import HpconsoleError, InvalidEdit, ScenarioError
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument
from hpconsole.core.keeping import Documents
from hpconsole.core.machines.checking import name_problem
from hpconsole.core.machines.draft import DiskDraft, VmDraft, volume_name
from hpconsole.core.machines.reading import read_draft
from hpconsole.core.machines.writing import render
from hpconsole.core.model.host import HostTopology
from hpconsole.core.scheduler import value_json

KIND = "template"  # of its documents
FORMAT = "hpconsole-template/1"
_LONGEST_FILE = 4 * 1024 * 1024
_OF_ONE_VM = ("uuid", "hwuuid", "genid")


@dataclass(frozen=True, slots=True)
class TemplateDisk:
    """What becomes of one disk of the definition (by its place) in a new VM.

    `volume`: it is cloned from this volume of `pool`. Without one a new empty volume of `size_kib` is made in `pool`.
    """

    key: str
    pool: str
    volume: str = ""
    format: str = "qcow2"
    size_kib: int | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """See the module."""

    name: str
    definition: str
    description: str = ""
    disks: tuple[TemplateDisk, ...] = ()
    source_host: str = ""
    topology: HostTopology | None = None  # of the host it comes from

    @property
    def draft(self) -> VmDraft:
        """Everything it says, in the fields of the dialog; its name is the template's."""
        return replace(read_draft(self.definition), name=self.name)


def template_of(
    draft: VmDraft,
    name: str,
    *,
    description: str = "",
    disks: tuple[TemplateDisk, ...] = (),
    source_host: str = "",
    topology: HostTopology | None = None,
) -> Template:
    """A template that says what this draft says.

    Raises:
        InvalidEdit: the name cannot be.
        HpconsoleError: the draft cannot be written down.
    """
    problem = name_problem(name)
    if problem:
        raise InvalidEdit("name", problem.replace("A VM", "A template"))
    plain = replace(draft, template="", nics=tuple(replace(nic, mac="") for nic in draft.nics))
    return Template(name, _anonymous(render(plain)), description, disks, source_host, topology)


def _anonymous(xml: str) -> str:
    """Without what belongs to one VM."""
    document = XmlDocument(xml, what="The definition")
    for tag in _OF_ONE_VM:
        element = document.root.child(tag)
        if element is not None:
            document.remove(element)
    system = document.root.child("os")
    nvram = system.child("nvram") if system is not None else None
    if nvram is not None:
        original = nvram.get("template")
        if original:
            document.replace(nvram, NewElement("nvram", {"template": original}))
        else:
            document.remove(nvram)
    devices = document.root.child("devices")
    for graphics in devices.children_named("graphics") if devices is not None else ():
        document.remove_attribute(graphics, "passwd")
        document.remove_attribute(graphics, "passwdValidTo")
    return document.edited()


def edited(template: Template, draft: VmDraft) -> Template:
    """The template with an edited configuration."""
    return replace(template, definition=_anonymous(render(draft)))


def instantiate(template: Template, name: str, *, is_linked: bool = True) -> VmDraft:
    """The draft of a new VM: type, migration mode, hosts and all pinning inherited, volumes of its own.

    Args:
        is_linked: Its disks are overlays over the template's volumes (made at once); else full copies.
    """
    draft = read_draft(template.definition)
    plans = {disk.key: disk for disk in template.disks}
    disks = []
    for place, disk in enumerate(draft.disks):
        plan = plans.get(disk.key)
        disks.append(disk if plan is None else _own_volume(disk, plan, name, place, is_linked=is_linked))
    return replace(
        draft,
        name=name,
        template=template.name,
        disks=tuple(disks),
        nics=tuple(replace(nic, mac="") for nic in draft.nics),
        shape_host=template.source_host,
        shape_topology=template.topology,
    )


def _own_volume(disk: DiskDraft, plan: TemplateDisk, name: str, place: int, *, is_linked: bool) -> DiskDraft:
    form = "qcow2" if is_linked and plan.volume else plan.format
    return replace(
        disk,
        pool=plan.pool,
        volume=volume_name(name, place, form),
        path="",
        kind="file",
        format=form,
        clone_from=plan.volume,
        is_linked=is_linked and bool(plan.volume),
        create_kib=None if plan.volume else plan.size_kib,
    )


# --- as a file --------------------------------------------------------------------


def to_json(template: Template) -> dict[str, Any]:
    """The template as a document or file."""
    return {
        "format": FORMAT,
        "name": template.name,
        "description": template.description,
        "source_host": template.source_host,
        "topology": None if template.topology is None else value_json.to_json(template.topology),
        "disks": value_json.to_json(template.disks),
        "definition": template.definition,
    }


def from_json(value: object) -> Template:
    """The template that was written. Trusts nothing.

    Raises:
        ScenarioError: it is no template; InvalidXml, InvalidEdit: its definition or name cannot be used.
    """
    if not isinstance(value, Mapping) or value.get("format") != FORMAT:
        raise ScenarioError(f"This is no template of hpconsole: its “format” is not {FORMAT}.")
    texts = {key: value.get(key, "") for key in ("name", "description", "source_host", "definition")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ScenarioError("The file cannot be used: name, description, source_host and definition are texts.")
    problem = name_problem(texts["name"])
    if problem:
        raise InvalidEdit("name", problem.replace("A VM", "A template"))
    read_draft(texts["definition"])  # InvalidXml where it cannot be
    topology = value.get("topology")
    return Template(
        name=texts["name"],
        definition=_anonymous(texts["definition"]),
        description=texts["description"][:4096],
        disks=value_json.from_json(tuple[TemplateDisk, ...], value.get("disks", []), "disks"),
        source_host=texts["source_host"],
        topology=None if topology is None else value_json.from_json(HostTopology, topology, "topology"),
    )


def export_text(template: Template) -> str:
    """The template as a file's text."""
    return json.dumps(to_json(template), indent=2, ensure_ascii=False) + "\n"


def import_text(text: str) -> Template:
    """The template of a file's text.

    Raises:
        ScenarioError, InvalidXml, InvalidEdit: it cannot be used.
    """
    if len(text) > _LONGEST_FILE:
        raise ScenarioError("The file is larger than 4 MiB and was not read.")
    try:
        return from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ScenarioError("The file is no JSON and was not read.", detail=str(error)) from error


class TemplateStore:
    """The templates of this console. Threads: any."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def all(self) -> tuple[Template, ...]:
        """Every template that can be read, by name."""
        found = []
        for body in self._documents.all(KIND).values():
            try:
                found.append(from_json(body))
            except HpconsoleError:
                continue  # edited by hand, or of a newer hpconsole: `get` says what is wrong with it
        return tuple(found)

    def get(self, name: str) -> Template:
        """The template of this name.

        Raises:
            InvalidEdit: there is none; others: it cannot be read.
        """
        body = self._documents.get(KIND, name)
        if body is None:
            raise InvalidEdit("template", f"There is no template named {name[:60]}.", subject=name)
        return from_json(body)

    def save(self, template: Template) -> None:
        """Keep a template; one of this name is replaced."""
        self._documents.save(KIND, template.name, to_json(template))

    def remove(self, name: str) -> None:
        """Forget a template. VMs made from it stay; so do its volumes."""
        self._documents.remove(KIND, name)
