"""XML as libvirt writes it: two spaces, single quotes, no comments; metadata as libxml2 dumps it.

Knows nothing of what the elements mean.
"""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from hpconsole.core.hypervisor.safe_xml import Element

# virBufferEscapeString escapes all five in texts as well.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})


def format_xml(root: Element) -> str:
    """The whole document as text, with a newline at its end."""
    lines: list[str] = []
    _write(lines, root, 0)
    return "\n".join(lines) + "\n"


def element(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    """Append a child; attribute values become text, `None` ones are left out, and `type_` means `type`."""
    child = etree.SubElement(parent, tag)
    for name, value in attributes.items():
        if value is not None:
            child.set(name.rstrip("_"), str(value))
    if text is not None:
        child.text = str(text)
    return child


def _write(lines: list[str], node: Element, depth: int) -> None:
    indent = "  " * depth
    if node.tag == "metadata" and depth == 1:
        lines.append(indent + _dump(node, depth))
        return
    start = f"{indent}<{_name(node)}{_attributes(node, is_root=depth == 0)}"
    children = [child for child in node if isinstance(child.tag, str)]
    text = (node.text or "").strip()
    if children:
        lines.append(f"{start}>")
        for child in children:
            _write(lines, child, depth + 1)
        lines.append(f"{indent}</{_name(node)}>")
    elif text:
        lines.append(f"{start}>{text.translate(_ESCAPES)}</{_name(node)}>")
    else:
        lines.append(f"{start}/>")


def _name(node: Element) -> str:
    local = etree.QName(node).localname
    return f"{node.prefix}:{local}" if node.prefix else local


def _attributes(node: Element, *, is_root: bool) -> str:
    parts = [f" {name!s}='{str(value).translate(_ESCAPES)}'" for name, value in node.items()]
    if is_root and any(node.nsmap):
        # In metadata each element declares its own namespace; those of the root are QEMU's and the like.
        used = {inner.prefix for inner in node.iter("{*}*") if not _is_in_metadata(inner)}
        parts += [f" xmlns:{prefix}='{uri}'" for prefix, uri in node.nsmap.items() if prefix and prefix in used]
    return "".join(parts)


def _is_in_metadata(node: Element) -> bool:
    return any(outer.tag == "metadata" for outer in node.iterancestors())


def _dump(metadata: Element, depth: int) -> str:
    own = deepcopy(metadata)
    own.tail = None
    etree.cleanup_namespaces(own)
    etree.indent(own, space="  ", level=depth)
    return etree.tostring(own, encoding="unicode")
