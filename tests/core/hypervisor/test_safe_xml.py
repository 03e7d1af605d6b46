"""Documents that must not be read, and how fast that is found out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.xml_values import number, number_set, size_kib

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
BOMB = f'<!DOCTYPE d [<!ENTITY l0 "ha">{LAUGHS}]><domain><name>&l9;</name></domain>'
EXTERNAL = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain><name>&x;</name></domain>'
PARAMETER = '<!DOCTYPE d [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]><domain/>'


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        EXTERNAL,
        PARAMETER,
        '<?xml version="1.0"?>\n<!-- <!DOCTYPE a> -->\n<!DOCTYPE domain SYSTEM "x.dtd"><domain/>',
        '\ufeff <?pi ?><!DOCTYPE a><a b="&l0;"/>',
        BOMB.encode("utf-16"),
    ],
    ids=["laughs", "external", "parameter", "behind a comment", "behind a mark", "utf-16"],
)
def test_a_document_type_is_refused_at_once(text: str | bytes) -> None:
    start = time.process_time()
    with pytest.raises(InvalidXml, match="document type declaration") as refused:
        safe_xml.parse(text, what="The XML tab", subject="vm-1")
    assert time.process_time() - start < 0.05
    assert refused.value.sentence.startswith("The XML tab ")
    assert refused.value.subject == "vm-1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no well-formed XML"),
        ("<domain>", "no well-formed XML (line 1)"),
        ("<a>\n</b>", "(line 2)"),
        ("<domain/><domain/>", "no well-formed XML"),
        ("<domain>&other;</domain>", "Entity 'other' not defined"),
        ("<a>\0</a>", "no well-formed XML"),
        ("<a b='\ud800'/>", "half of a character pair"),
        ("<a>" * 300 + "</a>" * 300, "Excessive depth"),
        ("<a>" + "x" * safe_xml.LARGEST_DOCUMENT + "</a>", "larger than 4 MiB"),
        (b"\xff\xfe<\0", "no well-formed XML"),
        (b"<a>\xe9</a>", "not UTF-8 text"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "encoded as utf-7"),
        (b'<?xml version="1.0" encoding="no_such_codec"?><a/>', "encoded as no_such_codec"),
    ],
)
def test_what_is_not_xml_is_a_sentence(text: str | bytes, says: str) -> None:
    with pytest.raises(InvalidXml) as refused:
        safe_xml.parse(text)
    assert says in refused.value.sentence
    assert refused.value.sentence.startswith("The document")
    assert refused.value.sentence.endswith(".")
    assert "\n" not in refused.value.sentence
    assert len(refused.value.sentence) < 300


@pytest.mark.parametrize(
    "text", ["<!--" * 500_000, "<a " * 500_000, "<!-- -->" * 100_000 + "<!DOCTYPE", "<" * 1_000_000]
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    start = time.process_time()
    with pytest.raises(InvalidXml):
        safe_xml.parse(text)
    assert time.process_time() - start < 1


def test_what_is_read() -> None:
    assert safe_xml.parse("<a><!-- <!DOCTYPE x> --><![CDATA[<!DOCTYPE y>]]></a>").text == "<!DOCTYPE y>"
    assert safe_xml.parse("<name>vm<!-- no -->-1</name>").text == "vm-1"  # no way to hide text from the reader
    # A text is Unicode already, whatever its declaration says; bytes are what they declare.
    assert safe_xml.parse('<?xml version="1.0" encoding="utf-16"?><a>é🚀</a>').text == "é🚀"
    assert safe_xml.parse('<?xml version="1.0" encoding="iso-8859-1"?><a>é</a>'.encode("latin-1")).text == "é"
    assert safe_xml.parse("<a>é</a>".encode("utf-16")).text == "é"


def test_threads_parse_side_by_side() -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = [f"<a><b n='{i}'/></a>" for i in range(400)]
        roots = list(pool.map(safe_xml.parse, texts))
    assert [root[0].get("n") for root in roots] == [str(i) for i in range(400)]


@pytest.mark.parametrize("text", [None, "", "-1", "1.5", "0x10", "1e9", "٣", "²", "one", "9" * 5000, "1 000"])
def test_no_number(text: str | None) -> None:
    with pytest.raises(InvalidXml, match="number"):
        number(text, "the number of vCPUs")


def test_numbers_have_bounds() -> None:
    assert number(" 16\n", "it", largest=16) == 16
    with pytest.raises(InvalidXml, match="1000000000 for the number of vCPUs; it can be 1 to 16384"):
        number("1000000000", "the number of vCPUs", smallest=1, largest=16_384)


@pytest.mark.parametrize(
    ("amount", "unit", "kib"),
    [
        ("1", None, 1),
        ("1", "KiB", 1),
        ("1", "k", 1),
        ("1024", "b", 1),
        ("1", "bytes", 1),  # rounded up, as libvirt does
        ("1000", "KB", 977),
        ("1", "MiB", 1024),
        ("1", "M", 1024),
        ("4", "GiB", 4 * 1024**2),
        ("12", "G", 12 * 1024**2),
        ("1", "tb", 10**12 // 1024),
        ("4", "", 1),
        ("1", "TiB", 1024**3),
    ],
)
def test_sizes(amount: str, unit: str | None, kib: int) -> None:
    assert size_kib(amount, unit, "the memory") == kib


@pytest.mark.parametrize(("amount", "unit"), [("1", "parsec"), ("99999999999", "EiB"), ("-4", "KiB")])
def test_sizes_that_cannot_be_meant(amount: str, unit: str) -> None:
    with pytest.raises(InvalidXml, match="the memory"):
        size_kib(amount, unit, "the memory")


@pytest.mark.parametrize("text", ["0-999999999", "5-2", "a", "1;2", "-1", "1--2", "0-4000000000", "1," * 60_000])
def test_sets_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(InvalidXml, match="the CPUs"):
        number_set(text, "the CPUs")
