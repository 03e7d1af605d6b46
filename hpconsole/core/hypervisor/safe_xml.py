"""Is this text XML that may be read at all? The one door for documents from hosts, files and the user.

No document type, no entities, no network, bounded size and depth. It knows nothing of what the elements mean.
"""

from __future__ import annotations

import re
import threading

from lxml import etree

from hpconsole.core.errors import InvalidXml

Element = etree._Element  # lxml has no public name for its element type

LARGEST_DOCUMENT = 4 * 1024 * 1024  # characters; a domain with hundreds of devices has 0.2 MiB
# Bytes in these encodings are read; the declaration is believed only for them.
_ENCODINGS = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "utf-16"})

_PROLOG = re.compile(r"\ufeff?(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_DECLARED_ENCODING = re.compile(rb"""<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


class _Parsers(threading.local):
    """One parser per thread: a parser shared by threads makes them wait for each other."""

    def __init__(self) -> None:
        # Depth is bounded by libxml2 itself (256) as long as huge_tree is off. The text is given as UTF-8 whatever
        # its declaration says, since it has been decoded already.
        self.parser = etree.XMLParser(
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,
        )


_parsers = _Parsers()


def parse(text: str | bytes, *, what: str = "The document", subject: str = "") -> Element:
    """Parse a document and return its root; comments and processing instructions are left out.

    Args:
        what: What the document is, as the sentence of an error begins: "The definition of vm-1".
        subject: The VM or host it is about.

    Raises:
        InvalidXml: no well-formed XML, too large, too deep, or with a document type (and thus entities).

    Threads: any.
    """
    if isinstance(text, bytes):
        text = decode(text, what=what, subject=subject)
    if len(text) > LARGEST_DOCUMENT:
        raise InvalidXml(
            f"{what} is larger than {LARGEST_DOCUMENT // (1024 * 1024)} MiB and was not read.", subject=subject
        )
    if "<!DOCTYPE" in text and text.startswith("<!DOCTYPE", _PROLOG.match(text).end()):  # type: ignore[union-attr]  # matches the empty text
        raise InvalidXml(
            f"{what} has a document type declaration, which could define entities, and was not read. "
            "Remove the <!DOCTYPE ...> part.",
            subject=subject,
        )
    try:
        return etree.fromstring(text.encode(), _parsers.parser)
    except UnicodeEncodeError as error:
        raise InvalidXml(f"{what} holds half of a character pair and was not read.", subject=subject) from error
    except etree.XMLSyntaxError as error:
        line, _ = error.position
        raise InvalidXml(
            f"{what} is no well-formed XML (line {line}): {_reason(error)}.", detail=str(error), subject=subject
        ) from error


def decode(document: bytes, *, what: str = "The document", subject: str = "") -> str:
    """The text of a document given as bytes: by its byte order mark or its declaration, else UTF-8.

    Raises:
        InvalidXml: an encoding that is not read, or bytes that are not of it.
    """
    if document.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        declared = _DECLARED_ENCODING.search(document[:200])
        encoding = declared[1].decode("ascii").lower() if declared else "utf-8"
    if encoding not in _ENCODINGS:
        raise InvalidXml(f"{what} is encoded as {encoding}, which is not read. Save it as UTF-8.", subject=subject)
    try:
        return document.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidXml(f"{what} is not {encoding.upper()} text and was not read.", subject=subject) from error


def _reason(error: etree.XMLSyntaxError) -> str:
    """libxml2's words without the position and its advice to lift the limits."""
    words = " ".join((error.msg or "it cannot be read").split()).split(", line ")[0]
    return words.split(", use XML_PARSE_HUGE")[0].rstrip(",. ")
