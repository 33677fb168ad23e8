"""The lenient reader and the strict writer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import StanzaError
from ringmesh.protocol.element import MAX_DEPTH, MAX_RECEIVED_BYTES, Element, read, write
from tests.protocol.oracle import parse_strictly

_NAMES = st.from_regex(r"[A-Za-z_é][A-Za-z0-9_.é-]{0,8}", fullmatch=True)
_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\r\n&<>\"']"),
    max_size=20,
)
_ELEMENTS = st.recursive(
    st.builds(Element, _NAMES, st.sampled_from(["jabber:client", "urn:a", "urn:b"])),
    lambda children: st.builds(
        Element,
        _NAMES,
        st.sampled_from(["jabber:client", "urn:a", ""]),
        st.dictionaries(_NAMES.filter(lambda name: not name.startswith("xml")), _TEXTS, max_size=3),
        st.lists(children, max_size=3),
        _TEXTS,
    ),
    max_leaves=8,
)


@given(_ELEMENTS)
def test_round_trip(element: Element) -> None:
    """What is written reads back as the same, by our reader and by a strict one."""
    text = write(element)
    assert read(text) == element
    assert read(text.encode()) == element
    if text.isascii():
        assert parse_strictly(text.encode()) == element
    assert "\r" not in text
    assert "]]>" not in text


def test_namespaces() -> None:
    """Names come without prefix, with the namespace in scope; foreign attributes are dropped."""
    element = read(
        "<stream:error xmlns:stream='urn:s' xml:lang='en'><a xmlns='urn:a' stream:x='1' y='2'>"
        "<b/><c xmlns=''/></a><d/></stream:error>"
    )
    assert (element.name, element.xmlns) == ("error", "urn:s")
    assert element.attributes == {"xml:lang": "en"}
    (a, d) = element.children
    assert (a.xmlns, a.attributes) == ("urn:a", {"y": "2"})
    assert [child.xmlns for child in a.children] == ["urn:a", ""]
    assert d.xmlns == "jabber:client"


def test_namespace_written_once() -> None:
    """A child that does not say its namespace has its parent's, and it is not written again."""
    element = Element(
        "iq", children=[Element("bind", "urn:b", children=[Element("jid", text="x")])]
    )
    assert write(element) == (
        '<iq xmlns="jabber:client"><bind xmlns="urn:b"><jid>x</jid></bind></iq>'
    )


def test_line_ends_in_text() -> None:
    """Line ends in text stay as they are, raw or written as references: SDP needs them."""
    assert read("<sdp>v=0\r\no=1&#13;&#10;s\n</sdp>").text == "v=0\r\no=1\r\ns\n"
    assert write(Element("sdp", text="v=0\r\n")) == '<sdp xmlns="jabber:client">v=0&#13;\n</sdp>'


def test_illegal_names() -> None:
    """Names that JavaScript SDKs make from object keys are read as those keys."""
    element = read("<e><0>7</0><1st/><my key>x</my key><a+b></a+b><what?>y</what?></e>")
    assert [child.name for child in element.children] == ["0", "1st", "my key", "a+b", "what?"]
    assert element.child_text("my key") == "x"


def test_mixed_content() -> None:
    """Text around children, references and CDATA sections make up one text."""
    element = read("<a>1<b>x</b>2 &amp; <![CDATA[<3>]]><c/>4</a>")
    assert element.text == "12 & <3>4"
    assert element.child_text("b") == "x"
    assert element.child("c") == Element("c", "jabber:client")
    assert element.child("d") is None
    assert element.child_text("d") is None


@pytest.mark.parametrize(
    "element",
    [
        Element("my key"),
        Element("0"),
        Element("a:b"),
        Element(""),
        Element("a", attributes={"b c": ""}),
        Element("a", attributes={"b": "\x00"}),
        Element("a", text="\x1b"),
        Element("a", text="\ud800"),
        Element("a", text="\uffff"),
    ],
)
def test_unwritable(element: Element) -> None:
    """The writer refuses what no conforming reader could read."""
    with pytest.raises(StanzaError):
        write(element)


def test_deep_element() -> None:
    """An element as deep as allowed is read and written without running out of stack."""
    text = "<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH
    assert write(read(text)).count("<a") == MAX_DEPTH
    with pytest.raises(StanzaError):
        read(f"<a>{text}</a>")


def test_size_limit() -> None:
    """A frame beyond the limit is refused before it is looked at."""
    with pytest.raises(StanzaError):
        read("<a>" + "x" * MAX_RECEIVED_BYTES + "</a>")


@given(st.text("<>/=\"'&;! ?[]-ax:0#\r", max_size=40) | st.binary(max_size=40))
def test_only_documented_errors(frame: str | bytes) -> None:
    """Whatever comes, the reader returns an element or raises StanzaError."""
    try:
        read(frame)
    except StanzaError:
        return
