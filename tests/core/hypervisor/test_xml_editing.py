"""Edits change one element and not one character beside it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from tests.core.hypervisor.xml_samples import AWKWARD, CRLF, DENSE, OWN, PINNED, foreign, text_of


def same_tree(element: XmlElement, parsed: safe_xml.Element) -> None:
    """The index has the very elements, attributes and nesting that a real parser finds."""
    namespace = f"{{{element.namespace}}}" if element.namespace else ""
    assert namespace + element.local_name == parsed.tag
    names = [name for name, *_ in element.attribute_spans()]
    plain = {name: element.get(name) for name in names if not name.startswith("xmlns") and ":" not in name}
    assert plain == {name: value for name, value in parsed.attrib.items() if not str(name).startswith("{")}
    assert len(element.children) == len(parsed)
    for child, parsed_child in zip(element.children, parsed, strict=True):
        assert child.parent is element
        same_tree(child, parsed_child)


def check_untouched(text: str) -> None:
    document = XmlDocument(text)
    same_tree(document.root, safe_xml.parse(text))
    assert not document.is_changed
    assert document.edited() == text
    for element in every(document.root):
        for name, *_ in element.attribute_spans():
            document.set_attribute(element, name, element.get(name) or "")  # what it has already
    assert not document.is_changed


def every(element: XmlElement) -> list[XmlElement]:
    return [element, *(inner for child in element.children for inner in every(child))]


@foreign("domain-xml")
def test_no_edit_no_change_in_others_domains(path: Path) -> None:
    check_untouched(text_of(path))


@foreign("capabilities-xml")
def test_no_edit_no_change_in_others_capabilities(path: Path) -> None:
    check_untouched(text_of(path))


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_no_edit_no_change(text: str) -> None:
    check_untouched(text)


def check_each_element(text: str) -> None:
    """One edit per element: removing it, and giving it an attribute, leaves all the other text."""
    document = XmlDocument(text)
    for element in every(document.root)[1:][:: max(1, text.count("<") // 60)]:
        removed = XmlDocument(text)
        removed.remove(twin(removed, element))
        left = removed.edited()
        before, after = text[: element.start].rstrip(), text[element.end :]
        assert left.startswith(before)
        assert left.endswith(after)
        assert not left[len(before) : len(left) - len(after)].strip()
        named = XmlDocument(text)
        named.set_attribute(twin(named, element), "hpc", "<'\"&\t>")
        changed = named.edited()
        slash = 2 if element.is_self_closed else 1
        assert changed.startswith(text[: element.content - slash].rstrip())
        assert changed.endswith(text[element.content - slash :])
        assert twin(XmlDocument(changed), element).get("hpc") == "<'\"&\t>"


def twin(document: XmlDocument, element: XmlElement) -> XmlElement:
    return next(other for other in every(document.root) if other.start == element.start)


@foreign("domain-xml")
def test_one_edit_one_change_in_others_domains(path: Path) -> None:
    check_each_element(text_of(path))


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_one_edit_one_change(text: str) -> None:
    check_each_element(text)


def test_attributes() -> None:
    document = XmlDocument(AWKWARD)
    vcpu = document.root.child("vcpu")
    assert vcpu is not None
    document.remove_attribute(vcpu, "cpuset")
    document.remove_attribute(vcpu, "no-such")
    document.set_attribute(vcpu, "placement", 'a"b')
    document.set_attribute(vcpu, "current", "1")
    document.set_attribute(vcpu, "current", "2")  # the last word counts
    expected = AWKWARD.replace(
        "<vcpu cpuset = '0-3,^2'\tplacement=\"static\"  >", "<vcpu\tplacement=\"a&quot;b\" current='2'  >"
    )
    assert document.edited() == expected


def test_an_attribute_set_back_is_no_change() -> None:
    document = XmlDocument("<a b='1' c=''/>")
    document.set_attribute(document.root, "b", "2")
    document.set_attribute(document.root, "c", "x")
    document.set_attribute(document.root, "c", "y")
    assert document.edited() == "<a b='2' c='y'/>"
    document.set_attribute(document.root, "b", "1")
    document.set_attribute(document.root, "c", "")
    assert document.edited() == "<a b='1' c=''/>"


def test_new_elements_stand_like_their_neighbours() -> None:
    document = XmlDocument(PINNED)
    tune = document.root.child("cputune")
    assert tune is not None
    document.append(tune, NewElement("memorytune", {"vcpus": "0-3"}, (NewElement("node", {"id": "0"}),)))
    document.insert_in_order(tune, NewElement("period", {"x": "1"}), after=("shares",))
    document.insert_in_order(tune, NewElement("first"), after=("nothing",))
    text = document.edited()
    assert "  <cputune>\n    <first/>\n    <shares>2048</shares>\n    <period x='1'/>\n    <vcpupin vcpu='0'" in text
    assert (
        "    </cachetune>\n    <memorytune vcpus='0-3'>\n      <node id='0'/>\n    </memorytune>\n  </cputune>\n"
        in text
    )
    for added in (
        "    <first/>\n",
        "    <period x='1'/>\n",
        text[text.index("    <memorytune") : text.index("  </cputune>")],
    ):
        text = text.replace(added, "")
    assert text == PINNED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<a><b/></a>", "<a><b><n/><m/></b></a>"),
        ("<a><b /></a>", "<a><b><n/><m/></b></a>"),
        ("<a><b></b></a>", "<a><b><n/><m/></b></a>"),
        ("<a>\n <b/>\n</a>", "<a>\n <b>\n   <n/>\n   <m/>\n </b>\n</a>"),
        ("<a>\n <b>\n </b>\n</a>", "<a>\n <b>\n   <n/>\n   <m/>\n </b>\n</a>"),
        ("<a>\n <b><!-- c --></b>\n</a>", "<a>\n <b><!-- c -->\n   <n/>\n   <m/>\n </b>\n</a>"),
        ("<a>\n <b>text</b>\n</a>", "<a>\n <b>text\n   <n/>\n   <m/>\n </b>\n</a>"),
        ("<a>\n\t<b>\n\t\t<c/>\n\n\t</b>\n</a>", "<a>\n\t<b>\n\t\t<c/>\n\t\t<n/>\n\t\t<m/>\n\n\t</b>\n</a>"),
        ("<a>\r\n <b>\r\n  <c/>\r\n </b>\r\n</a>", "<a>\r\n <b>\r\n  <c/>\r\n  <n/>\r\n  <m/>\r\n </b>\r\n</a>"),
        ("<a>\n <b><c/> <!-- x --></b></a>", "<a>\n <b><c/> <!-- x --><n/><m/></b></a>"),
    ],
)
def test_children_are_appended_to_anything(before: str, after: str) -> None:
    document = XmlDocument(before)
    document.append(document.root.children[0], NewElement("n"))
    document.append(document.root.children[0], NewElement("m"))
    assert document.edited() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<a>\n  <b/>\n  <c/>\n</a>", "<a>\n  <c/>\n</a>"),
        ("<a>\r\n  <b/>\r\n  <c/>\r\n</a>", "<a>\r\n  <c/>\r\n</a>"),
        ("<a>\n\n  <b>x</b>  \n  <c/></a>", "<a>\n  \n  <c/></a>"),
        ("<a>\n  <b/><c/>\n</a>", "<a>\n  <c/>\n</a>"),
        ("<a>\n  <b/> <!-- why -->\n</a>", "<a>\n   <!-- why -->\n</a>"),
        ("<a>\n  <b/></a>", "<a></a>"),
        ("<a><b/></a>", "<a></a>"),
    ],
)
def test_removing_takes_the_line_if_it_was_the_only_thing_on_it(before: str, after: str) -> None:
    document = XmlDocument(before)
    document.remove(document.root.children[0])
    assert document.edited() == after


def test_several_edits_at_one_place() -> None:
    document = XmlDocument("<a>\n  <b/>\n  <c/>\n</a>")
    b, c = document.root.children
    document.insert_after(b, NewElement("x"))
    document.remove(c)
    document.insert_after(b, NewElement("y"))
    document.replace(b, NewElement("b", {"n": "1"}, ("<v>as it is</v>",)))
    document.insert_after(c, NewElement("z"))
    assert document.edited() == "<a>\n  <b n='1'>\n    <v>as it is</v>\n  </b>\n  <x/>\n  <y/>\n  <z/>\n</a>"


def test_an_edit_inside_a_replaced_element_is_a_mistake_of_ours() -> None:
    document = XmlDocument(PINNED)
    tune = document.root.child("cputune")
    assert tune is not None
    document.remove(tune)
    document.set_attribute(tune.children[1], "cpuset", "5")
    with pytest.raises(ValueError, match="overlap"):
        document.edited()


def test_a_verbatim_text_that_is_no_xml_is_found_out() -> None:
    document = XmlDocument(DENSE)
    document.append(document.root, NewElement("x", children=("<y>",)))
    with pytest.raises(InvalidXml, match="The changed document is no well-formed XML"):
        document.edited()


def test_names_in_other_namespaces_are_other_names() -> None:
    document = XmlDocument('<d xmlns:p="urn:p"><p:cputune/><cputune xmlns="urn:p"><a/></cputune><cputune b="1"/></d>')
    plain = document.root.child("cputune")
    assert plain is not None
    assert plain.get("b") == "1"
    assert [child.name for child in document.root.children_named("cputune", "urn:p")] == ["p:cputune", "cputune"]
    assert document.root.children[1].child("a") is None  # a child inherits the default namespace


def holds(value: str) -> bool:
    """Whether lxml takes it as an attribute value."""
    try:
        etree.Element("a").set("b", value)
    except ValueError:
        return False
    return True


@given(st.text(max_size=20), st.sampled_from("'\""))
def test_any_text_survives_in_an_attribute_or_is_refused(value: str, quote: str) -> None:
    document = XmlDocument(f"<a b={quote}1{quote}/>")
    if not holds(value):
        with pytest.raises(InvalidXml, match=r"U\+[0-9A-F]{4}"):
            document.set_attribute(document.root, "b", value)
        return
    document.set_attribute(document.root, "b", value)
    document.set_attribute(document.root, "c", value)
    changed = document.edited()
    assert dict(safe_xml.parse(changed).items()) == {"b": value, "c": value}
    assert XmlDocument(changed).root.get("b") == value


# Random documents: any mixture of what XML allows between and inside tags.
_NAMES = st.sampled_from(["a", "b", "cpu-tune", "x_1", "n:e"])
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(["k", "l", "m:n", "id"]), st.text("ab >'&#;\n\t/=é", max_size=8), max_size=3
)
_NOISE = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\r\n\t",
        "text",
        "&amp;",
        "&#62;",
        "]]",
        ">",
        "'",
        '"',
        "<!-- <a b='> -->",
        "<![CDATA[</a><b>]]>",
        "<?p '>?>",
    ]
)


@st.composite
def _elements(draw: st.DrawFn, depth: int = 3) -> str:
    name, quote = draw(_NAMES), draw(st.sampled_from("'\""))
    blank = draw(st.sampled_from(["", " ", "\n  "]))
    attributes = "".join(
        f" {key}{blank}={blank}{quote}"
        + value.replace("&", "&amp;").replace(quote, "&#34;" if quote == '"' else "&#39;")
        + quote
        for key, value in draw(_ATTRIBUTES).items()
    )
    if draw(st.booleans()):
        return f"<{name}{attributes}{blank}/>"
    children = draw(st.lists(_elements(depth - 1), max_size=3)) if depth else []
    inside = "".join(draw(_NOISE) + child for child in children) + draw(_NOISE)
    return f"<{name}{attributes}{blank}>{inside}</{name}{blank}>"


@settings(max_examples=150)
@given(_elements(), st.data())
def test_random_documents(inside: str, data: st.DataObject) -> None:
    text = f"<?xml version='1.0'?><r xmlns:n='urn:n' xmlns:m='urn:m'>{inside}</r>"
    check_untouched(text)
    document = XmlDocument(text)
    chosen = data.draw(st.sampled_from(every(document.root)))
    document.append(chosen, NewElement("new", {"q": "1"}))
    changed = XmlDocument(document.edited())
    (added,) = [element for element in every(changed.root) if element.name == "new"]
    assert added.parent is not None
    assert added.parent.start == chosen.start
    changed.remove(added)
    left = changed.edited()
    assert [element.name for element in every(XmlDocument(left).root)] == [
        element.name for element in every(document.root)
    ]


def test_a_large_document_is_edited_in_linear_time() -> None:
    pins = "".join(f"\n    <vcpupin vcpu='{i}' cpuset='{i}'/>" for i in range(20_000))
    document = XmlDocument(f"<domain>\n  <cputune>{pins}\n  </cputune>\n</domain>")
    start = time.process_time()
    for pin in document.root.children[0].children:
        document.set_attribute(pin, "cpuset", "7")
        document.insert_after(pin, NewElement("x"))
    text = document.edited()
    assert time.process_time() - start < 3
    assert text.count("cpuset='7'") == 20_000


def test_line_ends_stay() -> None:
    document = XmlDocument(CRLF)
    tune = document.root.child("cputune")
    assert tune is not None
    document.append(tune, NewElement("n"))
    assert document.edited().count("\n") == document.edited().count("\r\n") == CRLF.count("\n") + 1
