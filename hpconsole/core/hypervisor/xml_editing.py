"""How is one element of a document changed while every other character stays as it was?

An `XmlDocument` knows where each element stands in the text; edits are noted and spliced into the text at the end.
Serialising a parsed tree again would lose quotes, blanks, entity forms and CDATA. Knows nothing of libvirt.

    document = XmlDocument(text)
    tune = document.root.child("cputune")
    document.set_attribute(tune.child("emulatorpin"), "cpuset", "0-1")
    document.append(tune, NewElement("vcpupin", {"vcpu": "3", "cpuset": "7"}))
    changed = document.edited()                  # no edit: the very same text
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml

# Sound only for text that a real parser found well-formed and without a document type: then "<" begins markup
# everywhere but inside comments, CDATA sections and processing instructions, and these end where they first can.
_MARKUP = re.compile(
    r"<(?:!--.*?-->|!\[CDATA\[.*?\]\]>|\?.*?\?>"
    r"|(?P<closed>/)[^>]*>"
    r"|(?P<name>[^\s/>!?]++)(?:[^\"'>]*+(?:\"[^\"]*+\"|'[^']*+'))*+[^\"'>]*+>)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""(?P<name>[^\s=/<>]++)\s*+=\s*+(?P<value>"[^"]*+"|'[^']*+')""")
_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]{1,8})|#([0-9]{1,8})|(lt|gt|amp|quot|apos));")
_PREDEFINED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BLANKS = " \t\r\n"
_TO_SPACES = dict.fromkeys(map(ord, _BLANKS), " ")  # what a parser makes of blanks in attribute values
_INDENT = "  "


def escaped(text: str, quote: str = "'") -> str:
    """Text as it stands in an attribute value between `quote`s. Blanks survive: a reader would turn a tab into a space.

    Raises:
        InvalidXml: a character that no XML document can hold.
    """
    wrong = _NOT_IN_XML.search(text)
    if wrong:
        raise InvalidXml(
            f"The character U+{ord(wrong[0]):04X} cannot be kept in XML; take it out of “{_printable(text)}”."
        )
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if quote:
        text = text.replace(quote, "&quot;" if quote == '"' else "&apos;")
    return text.replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


def escaped_text(text: str) -> str:
    """Text as it stands between tags; line breaks and tabs as they are.

    Raises:
        InvalidXml: a character that no XML document can hold.
    """
    return escaped(text, "").replace("&#9;", "\t").replace("&#10;", "\n")


@dataclass(frozen=True, slots=True)
class NewElement:
    """An element to be written; the document it goes into decides on indentation and quotes.

    `children` may hold text (a whole element taken from a document), which is kept character for character. An element
    has children or `content`, its text, not both.
    """

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: Sequence[NewElement | str] = ()
    content: str = ""

    def render(self, *, separator: str = "", quote: str = "'") -> str:
        """The element's text.

        Args:
            separator: The line break and indentation the element itself stands behind; empty = all on one line.
            quote: The quotation mark of attributes.

        Raises:
            InvalidXml: an attribute value that XML cannot hold.
        """
        start = "".join(f" {name}={quote}{escaped(text, quote)}{quote}" for name, text in self.attributes.items())
        if self.content:
            return f"<{self.name}{start}>{escaped_text(self.content)}</{self.name}>"
        if not self.children:
            return f"<{self.name}{start}/>"
        inner = separator + _INDENT if separator else ""
        children = "".join(
            inner + (child if isinstance(child, str) else child.render(separator=inner, quote=quote))
            for child in self.children
        )
        return f"<{self.name}{start}>{children}{separator}</{self.name}>"


@dataclass(eq=False, slots=True)
class XmlElement:
    """An element of an `XmlDocument`: where it stands in the text, in characters."""

    document: XmlDocument = field(repr=False)
    name: str  # as written, with its prefix
    start: int  # its "<"
    content: int  # behind the ">" of its start tag
    parent: XmlElement | None = field(default=None, repr=False)
    content_end: int = -1  # the "<" of its end tag; = `content` in <a/>
    end: int = -1  # behind its last ">"
    children: list[XmlElement] = field(default_factory=list, repr=False)

    @property
    def is_self_closed(self) -> bool:
        """Whether it is written `<a/>`."""
        return self.end == self.content

    @property
    def text(self) -> str:
        """The element as it stands in the document, its tags included."""
        return self.document.source[self.start : self.end]

    @property
    def plain_text(self) -> str:
        """What a reader of the document gets as the text of an element without children."""
        if self.is_self_closed:
            return ""
        return safe_xml.parse(f"<a>{self.document.source[self.content : self.content_end]}</a>").text or ""

    @property
    def local_name(self) -> str:
        """The name without its prefix."""
        return self.name.rpartition(":")[2]

    @property
    def namespace(self) -> str:
        """The namespace it is in; empty = none."""
        prefix = self.name.rpartition(":")[0]
        declaration = f"xmlns:{prefix}" if prefix else "xmlns"
        if "xmlns" not in self.document.source:
            return ""
        element: XmlElement | None = self
        while element is not None:
            if (uri := element.get(declaration)) is not None:
                return uri
            element = element.parent
        return ""

    def attribute_spans(self) -> Iterator[tuple[str, int, int, int]]:
        """Each attribute as (name, start, start of the quoted value, end of it)."""
        tag = self.document.source[self.start : self.content]
        for match in _ATTRIBUTE.finditer(tag, len(self.name) + 1):
            yield match["name"], self.start + match.start(), self.start + match.start("value"), self.start + match.end()

    def get(self, name: str) -> str | None:
        """The value of an attribute (named as written), its references resolved."""
        for attribute, _, value, end in self.attribute_spans():
            if attribute == name:
                written = self.document.source[value + 1 : end - 1].replace("\r\n", " ")
                return _REFERENCE.sub(_resolved, written.translate(_TO_SPACES))
        return None

    def child(self, name: str, namespace: str = "") -> XmlElement | None:
        """The first child of this local name in this namespace."""
        return next(iter(self.children_named(name, namespace)), None)

    def children_named(self, name: str, namespace: str = "") -> Iterator[XmlElement]:
        """The children of this local name in this namespace, in their order."""
        return (
            child
            for child in self.children
            if child.name.endswith(name) and child.local_name == name and child.namespace == namespace
        )


class XmlDocument:
    """A document with edits noted on it. Elements are those of the text as it was given; edits do not add to them.

    Raises:
        InvalidXml: the text is not read by `safe_xml`.

    Threads: one at a time.
    """

    def __init__(self, text: str, *, what: str = "The document") -> None:
        parsed = safe_xml.parse(text, what=what)
        self.source = text
        self.root = self._indexed(expected=sum(1 for _ in parsed.iter()), what=what)
        self._replacements: dict[tuple[int, int], str] = {}
        self._new_attributes: dict[tuple[int, str], str] = {}  # by place and name
        self._insertions: list[tuple[int, str]] = []  # those at one place stand in this order
        self._appended: dict[XmlElement, list[str]] = {}  # children for elements that have none yet

    @property
    def is_changed(self) -> bool:
        """Whether any edit was noted."""
        return bool(self._replacements or self._new_attributes or self._insertions or self._appended)

    def edited(self) -> str:
        """The text with all edits.

        Raises:
            InvalidXml: the edits do not make a well-formed document (a verbatim text was not).
            ValueError: edits overlap: an element and something in it were both changed.
        """
        if not self.is_changed:
            return self.source
        edits = [(place, place, text) for place, text in self._insertions]
        edits += [(place, place, text) for (place, _), text in self._new_attributes.items()]
        edits += [(start, end, text) for (start, end), text in self._replacements.items()]
        edits += [self._filled(element, children) for element, children in self._appended.items()]
        edits.sort(key=lambda edit: edit[:2])
        parts: list[str] = []
        position = 0
        for start, end, text in edits:
            if start < position:
                raise ValueError("edits overlap")
            parts += (self.source[position:start], text)
            position = end
        parts.append(self.source[position:])
        changed = "".join(parts)
        safe_xml.parse(changed, what="The changed document")
        return changed

    def set_attribute(self, element: XmlElement, name: str, value: str) -> None:
        """Give an attribute this value; nothing changes if it has it.

        A new attribute comes last and is quoted as its neighbours are.
        """
        end_of_last = element.start + 1 + len(element.name)
        for attribute, _, value_start, end in element.attribute_spans():
            if attribute == name:
                span = (value_start + 1, end - 1)
                self._replacements.pop(span, None)
                if element.get(name) != value:
                    self._replacements[span] = escaped(value, self.source[value_start])
                return
            end_of_last = end
        quote = self._quote(element)
        self._new_attributes[end_of_last, name] = f" {name}={quote}{escaped(value, quote)}{quote}"

    def set_text(self, element: XmlElement, text: str) -> None:
        """Give an element that has no children this text; nothing changes if it has it."""
        if element.is_self_closed:
            slash = self.source.rindex("/", element.start, element.end)
            written = f">{escaped_text(text)}</{element.name}>" if text else ""
            if written:
                self._replacements[self._behind_blanks(slash), element.end] = written
            return
        if element.plain_text != text:
            self._replacements[element.content, element.content_end] = escaped_text(text)

    def remove_attribute(self, element: XmlElement, name: str) -> None:
        """Take an attribute away, with the blanks before it; nothing changes if it is not there."""
        for attribute, start, _, end in element.attribute_spans():
            if attribute == name:
                self._replacements[self._behind_blanks(start), end] = ""

    def replace(self, element: XmlElement, new: NewElement) -> None:
        """Write another element in the place of this one."""
        text = new.render(separator=self._separator_before(element.start), quote=self._quote(element))
        self._replacements[element.start, element.end] = text

    def remove(self, element: XmlElement) -> None:
        """Take an element away, and its line if nothing else stands on it."""
        separator = self._separator_before(element.start)
        rest = self.source[element.end : element.end + 200].lstrip(" \t")
        is_alone = separator and rest.startswith(("\n", "\r", "</"))
        self._replacements[element.start - (len(separator) if is_alone else 0), element.end] = ""

    def append(self, parent: XmlElement, new: NewElement) -> None:
        """Add a last child."""
        if parent.children:
            place = parent.content_end
            while place > parent.content and self.source[place - 1] in _BLANKS:
                place -= 1
            self._insert(place, self._separator_before(parent.children[-1].start), new)
        else:
            separator = self._separator_before(parent.start)
            inner = separator + _INDENT if separator else ""
            text = inner + new.render(separator=inner, quote=self._quote(parent))
            self._appended.setdefault(parent, []).append(text)

    def insert_after(self, sibling: XmlElement, new: NewElement) -> None:
        """Add an element right behind this one; several stand in the order in which they were added."""
        self._insert(sibling.end, self._separator_before(sibling.start), new)

    def insert_in_order(self, parent: XmlElement, new: NewElement, after: Collection[str]) -> None:
        """Add a child behind the last one that has one of these names; as the first where there is none."""
        earlier = [child for child in parent.children if child.name in after]
        if earlier:
            self.insert_after(earlier[-1], new)
        elif parent.children:
            self._insert(parent.content, self._separator_before(parent.children[0].start), new)
        else:
            self.append(parent, new)

    def _insert(self, place: int, separator: str, new: NewElement) -> None:
        self._insertions.append((place, separator + new.render(separator=separator, quote=self._quote(self.root))))

    def _filled(self, element: XmlElement, children: list[str]) -> tuple[int, int, str]:
        """The edit that gives children to an element without any (`<a/>`, `<a></a>`, or with text only)."""
        separator = self._separator_before(element.start)
        inside = "".join(children)
        if element.is_self_closed:
            slash = self.source.rindex("/", element.start, element.end)
            return self._behind_blanks(slash), element.end, f">{inside}{separator}</{element.name}>"
        content = self.source[element.content : element.content_end]
        start = element.content + len(content.rstrip(_BLANKS))
        return start, element.content_end, inside + separator

    def _separator_before(self, place: int) -> str:
        """The line break and indentation that the markup at this place stands behind; empty if it has none."""
        blanks = self.source[self._behind_blanks(place) : place]
        line = blanks.rfind("\n")
        if line < 0:
            # The root of most documents: nothing is before it, but its children may stand on lines of their own.
            first = self.root.children[:1]
            return "\n" if place == self.root.start and first and self._separator_before(first[0].start) else ""
        return blanks[line - 1 if blanks[line - 1 : line] == "\r" else line :]

    def _behind_blanks(self, place: int) -> int:
        while place and self.source[place - 1] in _BLANKS:
            place -= 1
        return place

    def _quote(self, element: XmlElement) -> str:
        """The quotation mark in use: the element's own, or else the first one of an attribute in the document."""
        for _, _, value, _ in element.attribute_spans():
            return self.source[value]
        for _, _, value, _ in (span for child in self.root.children for span in child.attribute_spans()):
            return self.source[value]
        return "'"

    def _indexed(self, *, expected: int, what: str) -> XmlElement:
        """Find every element's place; `expected` of them, by a real parser's count."""
        root: XmlElement | None = None
        parent: XmlElement | None = None
        for match in _MARKUP.finditer(self.source):
            if name := match["name"]:
                expected -= 1
                element = XmlElement(self, name, match.start(), match.end(), parent)
                if parent is not None:
                    parent.children.append(element)
                root = root or element
                if self.source[match.end() - 2] == "/":
                    element.content_end = element.end = match.end()
                else:
                    parent = element
            elif match["closed"] and parent is not None:
                parent.content_end, parent.end = match.start(), match.end()
                parent = parent.parent
        if root is None or parent is not None or expected:
            raise InvalidXml(f"{what} is written in a way that hpconsole cannot edit. Nothing was changed.")
        return root


def _resolved(match: re.Match[str]) -> str:
    if match[3]:
        return _PREDEFINED[match[3]]
    return chr(int(match[1], 16) if match[1] else int(match[2]))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:40])
