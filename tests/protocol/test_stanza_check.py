"""The check that decides what the server forwards, and the stamp with the true sender."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringmesh.errors import StanzaError
from ringmesh.protocol.element import MAX_DEPTH, MAX_ELEMENTS, MAX_FRAME_BYTES, read
from ringmesh.protocol.stanza_check import CheckedStanza, check, stamp
from tests.protocol.oracle import has_only_plain_names, normalised, parse_strictly
from tests.protocol.stanzas import CALL, CANDIDATES, frames, mutations, plain_messages

SENDER = "4001-777@chat.local.test/0123456789abcdef"
DEEP = b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH
LIMITS = b'<message xmlns="jabber:client">%s</message>'

HOSTILE = {
    "nothing": b"",
    "blank": b" \r\n",
    "text only": b"hello",
    "text before": b"x<message xmlns='jabber:client'/>",
    "text after": b"<message xmlns='jabber:client'/>x",
    "two elements": b"<message xmlns='jabber:client'/><message xmlns='jabber:client'/>",
    "second element in front": b"<r/><message from='1-1@x' xmlns='jabber:client'/>",
    "not closed": b"<message xmlns='jabber:client'>",
    "closed twice": b"<message xmlns='jabber:client'></message></message>",
    "closed out of order": b"<message xmlns='jabber:client'><a><b></a></b></message>",
    "closed by another name": b"<message xmlns='jabber:client'></iq>",
    "cut in a tag": b"<message xmlns='jabber:client'",
    "cut in a value": b"<message xmlns='jabber:client",
    "end tag only": b"</message>",
    "DTD": b"<!DOCTYPE message><message xmlns='jabber:client'/>",
    "DTD with entity": b'<!DOCTYPE m [<!ENTITY a "b">]><message>&a;</message>',
    "external entity": b'<!DOCTYPE m SYSTEM "http://localhost/"><message xmlns="jabber:client"/>',
    "DTD inside": b"<message xmlns='jabber:client'><!DOCTYPE a></message>",
    "processing instruction": b"<message xmlns='jabber:client'><?php 1?></message>",
    "processing instruction after": b"<message xmlns='jabber:client'/><?a?>",
    "declaration inside": b"<message xmlns='jabber:client'><?xml version='1.0'?></message>",
    "declaration in a tag": b"<message <?xml version='1.0'?> xmlns='jabber:client'/>",
    "two declarations": b"<?xml version='1.0'?><?xml version='1.0'?><message/>",
    "comment": b"<message xmlns='jabber:client'><!-- --></message>",
    "comment after": b"<message xmlns='jabber:client'/><!-- -->",
    "comment in front": b"<!-- --><message xmlns='jabber:client'/>",
    "undefined entity": b"<message xmlns='jabber:client'>&nbsp;</message>",
    "bare ampersand": b"<message xmlns='jabber:client'>a & b</message>",
    "reference to NUL": b"<message xmlns='jabber:client'>&#0;</message>",
    "reference to a control character": b"<message xmlns='jabber:client'>&#x1b;</message>",
    "reference to a surrogate": b"<message xmlns='jabber:client'>&#xd800;</message>",
    "reference beyond Unicode": b"<message xmlns='jabber:client'>&#x110000;</message>",
    "endless reference": b"<message xmlns='jabber:client'>&#" + b"9" * 5000 + b";</message>",
    "control character": b"<message xmlns='jabber:client'>\x1b</message>",
    "NUL": b"<message xmlns='jabber:client'>\x00</message>",
    "noncharacter": b"<message xmlns='jabber:client'>\xef\xbf\xbf</message>",
    "CDATA end in text": b"<message xmlns='jabber:client'>]]></message>",
    "open CDATA": b"<message xmlns='jabber:client'><![CDATA[</message>",
    "CDATA outside": b"<message xmlns='jabber:client'/><![CDATA[]]>",
    "not UTF-8": b"<message xmlns='jabber:client'>\xff</message>",
    "overlong UTF-8": b"<message xmlns='jabber:client'>\xc0\xbc</message>",
    "surrogate in UTF-8": b"<message xmlns='jabber:client'>\xed\xa0\x80</message>",
    "UTF-16": "<message xmlns='jabber:client'/>".encode("utf-16"),
    "UTF-16 without mark": "<message xmlns='jabber:client'/>".encode("utf-16-le"),
    "UTF-8 mark": b"\xef\xbb\xbf<message xmlns='jabber:client'/>",
    "attribute twice": b"<message xmlns='jabber:client' from='a' from='b'/>",
    "attribute twice by prefix": b"<m xmlns='a:b'><x xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/></m>",
    "attribute without value": b"<message xmlns='jabber:client' from/>",
    "attribute without quotes": b"<message xmlns='jabber:client' from=a/>",
    "less-than in attribute": b"<message xmlns='jabber:client' to='<'/>",
    "undeclared prefix": b"<message xmlns='jabber:client'><a:b/></message>",
    "undeclared attribute prefix": b"<message xmlns='jabber:client'><b a:c=''/></message>",
    "prefix without namespace": b"<message xmlns='jabber:client'><b xmlns:c=''/></message>",
    "two colons": b"<message xmlns='jabber:client'><b:c:d xmlns:b='u'/></message>",
    "xmlns as prefix": b"<message xmlns='jabber:client'><b xmlns:xmlns='u'/></message>",
    "xml bound elsewhere": b"<message xmlns='jabber:client'><b xmlns:xml='u'/></message>",
    "sender by prefix": b"<message xmlns='jabber:client' xmlns:x='u' x:from='1-1@x'/>",
    "sender by namespace": b"<message xmlns='jabber:client' xmlns:from='1-1@x'/>",
    "sender in xml namespace": b"<message xmlns='jabber:client' xml:from='1-1@x'/>",
    "stanza with a prefix": b"<c:message xmlns:c='jabber:client'/>",
    "stanza in no namespace": b"<message xmlns=''/>",
    "carbon": b"<message xmlns='jabber:client' type='headline'><sent xmlns='urn:xmpp:carbons:2'>"
    b"<forwarded xmlns='urn:xmpp:forward:0'><message from='1-1@x'/></forwarded></sent></message>",
    "carbon by prefix": b"<message xmlns='jabber:client'><s:sent xmlns:s='u'><forwarded/></s:sent>"
    b"</message>",
    "carbon beside illegal names": b"<message xmlns='jabber:client'><0/><sent><forwarded/></sent>"
    b"</message>",
    "carbon by an illegal name": b"<message xmlns='jabber:client'><sent ><forwarded/></sent >"
    b"</message>",
    "illegal name not closed": b"<message xmlns='jabber:client'><0></message>",
    "illegal names crossed": b"<message xmlns='jabber:client'><0></1></message>",
    "illegal name with attribute": b"<message xmlns='jabber:client'><0 a='b'/></message>",
    "illegal name with equals sign": b"<message xmlns='jabber:client'><a b=c></a b=c></message>",
    "illegal name with quote": b"<message xmlns='jabber:client'><a b\"></a b\"></message>",
    "illegal name with colon": b"<message xmlns='jabber:client'><0:a></0:a></message>",
    "illegal name like a comment": b"<message xmlns='jabber:client'><!a></!a></message>",
    "empty name": b"<message xmlns='jabber:client'><></></message>",
    "too deep": LIMITS % DEEP,
    "too deep, illegal names": LIMITS % (b"<0/>" + DEEP),
    "too many elements": LIMITS % (b"<a/>" * (2 * MAX_ELEMENTS)),
    "too many elements, illegal names": LIMITS % (b"<0/>" * (MAX_ELEMENTS + 1)),
    "too many attributes": b"<message %s/>" % b" ".join(b"a%d=''" % n for n in range(65)),
    "too long": LIMITS % (b"a" * MAX_FRAME_BYTES),
    "too long once rewritten": LIMITS % (b"<![CDATA[" + b"&" * (MAX_FRAME_BYTES - 99) + b"]]>"),
}


@pytest.mark.parametrize("frame", HOSTILE.values(), ids=HOSTILE)
def test_hostile_frame(frame: bytes) -> None:
    """A malformed or forged frame is refused with the documented error."""
    with pytest.raises(StanzaError):
        check(frame)


def test_sdk_frame_goes_through_unchanged() -> None:
    """A signal as the JavaScript SDK writes it is forwarded with `from` added and nothing else."""
    stanza = check(CALL)
    assert (stanza.name, stanza.xmlns) == ("message", "jabber:client")
    assert stanza.attributes["to"] == "4002-777@chat.local.test"
    assert stamp(stanza, SENDER) == CALL.replace(b" ", f' from="{SENDER}" '.encode(), 1)


@pytest.mark.parametrize(
    "attributes",
    [
        "from='9-777@evil/x'",
        'to="x" from="9-777@evil/x"',
        "from = '9-777@evil/x' to='x'",
        "\n\tfrom\r=\n'9-777@evil/x'\n",
        "from='9-777@evil/&apos;&#x22;&gt;>\"'",
        "id='from=\"1\"' from='9-777@evil/x' type=\" from='2'\"",
        "from=''",
        "from='&#57;'",
        "type='>' from='>'",
    ],
)
def test_forged_sender(attributes: str) -> None:
    """However `from` is written, the receiver sees exactly the true one."""
    frame = f"<message xmlns='jabber:client' {attributes}><a>  from='x' </a></message>".encode()
    forwarded = stamp(check(frame), SENDER)
    seen = parse_strictly(forwarded)
    assert seen.attributes.pop("from") == SENDER
    sent = parse_strictly(frame)
    del sent.attributes["from"]
    assert seen == sent
    assert forwarded.endswith(b"><a>  from='x' </a></message>")
    assert forwarded.count(b"9-777@evil") == 0


def test_redirection() -> None:
    """The receiver can be replaced, or added where there was none, with all characters escaped."""
    frame = b"<message to='a' id='1'/>"
    assert stamp(check(frame), SENDER, to='b"<&/') == (
        f'<message from="{SENDER}" to="b&quot;&lt;&amp;/" xmlns="jabber:client" id=\'1\'/>'.encode()
    )
    assert stamp(check(b"<message/>"), "a@b", to="c") == (
        b'<message from="a@b" to="c" xmlns="jabber:client"/>'
    )


@pytest.mark.parametrize(
    "frame",
    [
        b" <message to='a'/>\r\n",
        b"<?xml version='1.0'?><message to='a'/>",
        b"<?xml version='1.0' encoding='UTF-8'?>\n<message to='a'/> ",
    ],
)
def test_tolerated_surroundings(frame: bytes) -> None:
    """White space and a declaration around the element are cut off: they break SDKs."""
    assert check(frame).frame == b"<message to='a'/>"


def test_illegal_names_of_arrays() -> None:
    """Names that JavaScript SDKs make of array indexes are forwarded as they came."""
    frame = b"<message xmlns='jabber:client'><e><0>7</0><1st/><a+b>x</a+b></e></message>"
    frame = frame.replace(b"<a+b>x</a+b>", b"<2>x</2>")
    assert stamp(check(frame), "a@b") == frame.replace(b"<message", b'<message from="a@b"')


def test_illegal_names_that_mislead_parsers() -> None:
    """Blanks and marks in names derail the JavaScript SDK's parser, so they are mended."""
    frame = b"<message xmlns='jabber:client' to='a'><my key>1</my key><a!b><2 x/></a!b></message>"
    assert check(frame).frame == (
        b'<message xmlns="jabber:client" to="a"><my_key>1</my_key><a_b><_2_x/></a_b></message>'
    )


def test_names_legal_for_some_parsers_only() -> None:
    """A name that only newer editions of XML allow is mended too, once and for all."""
    frame = "<message xmlns='jabber:client'><a€><0 /></a€></message>".encode()
    assert check(frame).frame == b'<message xmlns="jabber:client"><a_><_0_/></a_></message>'


def test_cdata_is_written_as_text() -> None:
    """CDATA sections, which mobile SDKs read as nothing, are forwarded as plain text."""
    frame = b"<message xmlns='jabber:client'><a>1 <![CDATA[<b>&amp;]]>!</a></message>"
    assert check(frame).frame == (
        b'<message xmlns="jabber:client"><a>1 &lt;b&gt;&amp;amp;!</a></message>'
    )


def test_the_word_forwarded_is_no_crime() -> None:
    """Only a carbon copy as a direct child is refused, not the word, nor XEP-0297 by itself."""
    check(LIMITS % b"<body>I forwarded what was sent</body>")
    check(LIMITS % b"<forwarded xmlns='urn:xmpp:forward:0'><sent/></forwarded>")


def test_limits_can_be_reached() -> None:
    """Frames at the limits pass."""
    check(LIMITS % (b"<a>" * (MAX_DEPTH - 1) + b"</a>" * (MAX_DEPTH - 1)))
    check(LIMITS % (b"<a/>" * (MAX_ELEMENTS - 1)))
    check(LIMITS % (b"<0/>" * (MAX_ELEMENTS - 1)))
    check(LIMITS % (b"a" * (MAX_FRAME_BYTES - len(LIMITS % b""))))


@given(frames() | mutations() | st.binary(max_size=200))
def test_only_documented_errors(frame: bytes) -> None:
    """Whatever comes, the check passes it or raises StanzaError, and so does the reader."""
    for function in (check, read):
        try:
            function(frame)
        except StanzaError:
            continue


@given(frames() | mutations())
def test_what_passes_is_one_element_from_the_true_sender(frame: bytes) -> None:
    """Whatever passes re-parses, stamped, to exactly one element whose sender is the true one."""
    try:
        stanza = check(frame)
    except StanzaError:
        return
    forwarded = stamp(stanza, SENDER, to="x@y")
    element = read(forwarded)
    assert (element.name, element.xmlns) == (stanza.name, stanza.xmlns)
    assert element.attributes["from"] == SENDER
    assert element.attributes["to"] == "x@y"
    if has_only_plain_names(element):
        assert normalised(parse_strictly(forwarded)) == normalised(element)


@given(frames() | mutations())
def test_reader_is_as_strict_as_expat(frame: bytes) -> None:
    """The lenient reader finds what a strict one finds, and nothing where that finds nothing."""
    frame = b"<root xmlns='jabber:client'>" + frame + b"</root>"
    try:
        element = read(frame)
    except StanzaError:
        return
    if has_only_plain_names(element):
        assert normalised(parse_strictly(frame)) == normalised(element)


@given(plain_messages() | mutations())
@example(CALL)
@example(CANDIDATES)
def test_plain_messages_are_checked_alike(frame: bytes) -> None:
    """There is a shorter way for plain messages; white space behind the frame leads around it."""
    found: list[CheckedStanza | None] = []
    for each in (frame, frame + b" "):
        try:
            found.append(check(each))
        except StanzaError:
            found.append(None)
    assert found[0] == found[1]
