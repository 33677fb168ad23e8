"""Streams over TCP (RFC 6120): from bytes, in any pieces, to whole elements.

What comes out is what a WebSocket would have carried (RFC 7395): the header and the end tag of a
stream as ``<open/>`` and ``<close/>``, everything else as the client's own bytes. So one stream
machine serves both, and whether an element is well-formed remains the stanza check's decision. This
module only finds where elements end, in one pass however the bytes are cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from functools import lru_cache

from ringmesh.errors import ProtocolError, StanzaError
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import MAX_DEPTH, MAX_FRAME_BYTES, read
from ringmesh.protocol.framing import WEBSOCKET

_SPACE = b" \t\r\n"
_CDATA = b"<![CDATA["
_TAG_MARK = re.compile(rb"[<>\"']")
_STREAM_NAME = re.compile(rb"<((?:[^<>\"'/: \t\r\n]++:)?+stream)[ \t\r\n/>]")
_DECLARATION = re.compile(
    rb"<\?xml[ \t\r\n][^<>?]*?(?:encoding[ \t\r\n]*=[ \t\r\n]*[\"']([^\"']*)[\"'][^<>?]*)?\?>"
)
# The beginning of a name is enough to tell whether tags match. What follows it in names that only
# JavaScript SDKs write is not looked at: the stanza check does that.
_NAME = rb"[^<>\"'/!? \t\r\n]++"
_FIRST_NAME = re.compile(rb"</?(" + _NAME + rb")")
# One whole tag inside of a stanza, with the text before it: group 1 the name in an end tag, 2 in a
# start tag, 3 an empty element.
_WHOLE_TAG = re.compile(
    rb"[^<]*+<(?:/(" + _NAME + rb")[^<>]*+>"
    rb"|(" + _NAME + rb")[^<>\"'/]*+(?:/(?!>)|\"[^<\"]*+\"|'[^<']*+'|[^<>\"'/]++)*+(/)?+>)"
)


class _In(Enum):
    """What the next byte belongs to."""

    TEXT = auto()
    MARKUP = auto()  # after ``<``: which kind is not known yet
    START_TAG = auto()
    DOUBLE_QUOTES = auto()  # in a start tag
    SINGLE_QUOTES = auto()
    END_TAG = auto()
    CDATA = auto()
    DECLARATION = auto()


_NONE: list[bytes] = []  # shared, and replaced before anything is opened
_QUOTES = {ord('"'): _In.DOUBLE_QUOTES, ord("'"): _In.SINGLE_QUOTES}
_ENDS = {
    _In.DOUBLE_QUOTES: b'"',
    _In.SINGLE_QUOTES: b"'",
    _In.END_TAG: b">",
    _In.CDATA: b"]]>",
    _In.DECLARATION: b"?>",
}


class TcpFraming:
    """Cuts what a client sends into frames for `ServerStream`.

    A header may come again at any time, with or without an XML declaration before it: whether it
    may is the stream's decision. White space between elements is dropped at once.

    Attributes:
        limit: octets that an element may have.
    """

    __slots__ = ("_buffer", "_inside", "_open", "_pos", "_start", "_stream_name", "limit")

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self.limit = limit
        self._buffer: bytes | bytearray = b""
        self._start = 0  # of the element, or of what has not been looked at
        self._pos = 0  # how far has been looked
        self._inside = _In.TEXT
        self._open = _NONE  # names of the stanza's open elements
        self._stream_name: bytes | None = None

    @property
    def rest(self) -> bytes:
        """What came and has not become part of a frame."""
        return bytes(self._buffer[self._start :])

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes; yields the frames that they complete. Use it up before the next call.

        Raises:
            ProtocolError: the stream cannot be read any further; its text is the condition of the
                stream error (RFC 6120 section 4.9.3).
        """
        if self._buffer:
            self._buffer += data
        else:
            self._buffer, self._open = data, []
        while self._step():
            if not self._open and self._inside is _In.TEXT and self._start < self._pos:
                frame = bytes(self._buffer[self._start : self._pos])
                self._start = self._pos
                if not frame.startswith(b"<?"):
                    yield self._frame(frame)
        size = len(self._buffer) - self._start
        if size > self.limit:
            raise ProtocolError("policy-violation")
        if not size:  # many streams are silent for long: between elements they keep nothing
            self._buffer, self._open = b"", _NONE
        elif isinstance(self._buffer, bytearray):
            del self._buffer[: self._start]
        else:
            self._buffer = bytearray(self._buffer[self._start :])
        self._pos -= self._start
        self._start = 0

    def _frame(self, frame: bytes) -> bytes:
        """A whole element, or a tag of the stream itself."""
        if frame.startswith(b"</"):
            if self._stream_name is None or frame[2:-1].strip(_SPACE) != self._stream_name:
                raise ProtocolError("not-well-formed")
            return WEBSOCKET.end.encode()
        name = _stream_name(frame)
        if name is not None:
            self._stream_name = _known(name)
            return _open(frame, name)
        if self._stream_name is None:
            raise ProtocolError("bad-format")
        return frame

    def _step(self) -> bool:
        """Look at the next piece of text or markup; False if more has to come first."""
        match self._inside:
            case _In.TEXT:
                return self._text()
            case _In.MARKUP:
                return self._markup()
            case _In.START_TAG:
                return self._start_tag()
        end = _ENDS[self._inside]
        found = self._buffer.find(end, self._pos)
        if found < 0:
            self._pos = max(self._pos, len(self._buffer) - len(end) + 1)
            return False
        self._pos = found + len(end)
        self._ended()
        return True

    def _text(self) -> bool:
        if self._open and self._whole_tags():
            return True
        found = self._buffer.find(b"<", self._pos)
        end = found if found >= 0 else len(self._buffer)
        if not self._open:
            if self._buffer[self._pos : end].strip(_SPACE):
                raise ProtocolError("not-well-formed")
            self._start = end
            if found >= 0 and self._begins_stanza(found):
                return True
        self._pos = end
        if found < 0:
            return False
        self._inside = _In.MARKUP
        return True

    def _begins_stanza(self, pos: int) -> bool:
        """The quick way into a stanza: whether its whole start tag is there."""
        match = _WHOLE_TAG.match(self._buffer, pos)
        if match is None or match[1] or match[3] or _stream_name(self._buffer, pos):
            return False
        self._pos = match.end()
        self._open.append(match[2])
        return True

    def _whole_tags(self) -> bool:
        """The quick way through a stanza, tag by tag; whether that led to its end."""
        buffer, pos, open_names = self._buffer, self._pos, self._open
        while open_names and (match := _WHOLE_TAG.match(buffer, pos)):
            pos = match.end()
            ended, begun, empty = match.groups()
            if ended:
                if open_names.pop() != ended:
                    raise ProtocolError("not-well-formed")
            elif not empty:
                open_names.append(begun)
                if len(open_names) > MAX_DEPTH:
                    raise ProtocolError("policy-violation")
        self._pos = pos
        return not open_names

    def _markup(self) -> bool:
        begin = bytes(self._buffer[self._pos : self._pos + len(_CDATA)])
        if len(begin) < 2:
            return False
        match begin[1:2]:
            case b"/":
                self._inside = _In.END_TAG
            case b"?" if not self._open:
                self._inside = _In.DECLARATION
            case b"!" if self._open and _CDATA.startswith(begin):
                if begin != _CDATA:
                    return False
                self._inside = _In.CDATA
            case b"!" | b"?":
                raise ProtocolError("restricted-xml")
            case _:
                self._inside = _In.START_TAG
        self._pos += len(begin) if self._inside is _In.CDATA else 2
        if self._inside is _In.START_TAG:
            self._pos -= 1
        return True

    def _start_tag(self) -> bool:
        match = _TAG_MARK.search(self._buffer, self._pos)
        if match is None:
            self._pos = len(self._buffer)
            return False
        self._pos = match.end()
        mark = self._buffer[match.start()]
        if mark == ord("<"):
            raise ProtocolError("not-well-formed")
        if mark != ord(">"):
            self._inside = _QUOTES[mark]
            return True
        self._inside = _In.TEXT
        if self._buffer[match.start() - 1] == ord("/"):
            return True
        if self._open or _stream_name(self._buffer, self._start) is None:
            self._open.append(self._tag_name())
            if len(self._open) > MAX_DEPTH:
                raise ProtocolError("policy-violation")
        return True

    def _tag_name(self) -> bytes:
        """How the name of the tag that has just ended begins."""
        match = _FIRST_NAME.match(self._buffer, self._buffer.rindex(b"<", 0, self._pos))
        return match[1] if match else b""

    def _ended(self) -> None:
        """A quoted value, an end tag, a CDATA section or a declaration is over."""
        match self._inside:
            case _In.DOUBLE_QUOTES | _In.SINGLE_QUOTES:
                self._inside = _In.START_TAG
                return
            case _In.END_TAG if self._open:
                if self._open.pop() != self._tag_name():
                    raise ProtocolError("not-well-formed")
            case _In.DECLARATION:
                _check_declaration(bytes(self._buffer[self._start : self._pos]))
        self._inside = _In.TEXT


@lru_cache(maxsize=8)  # so that streams share it: they all call it the same
def _known(name: bytes) -> bytes:
    return name


def _stream_name(data: bytes | bytearray, pos: int = 0) -> bytes | None:
    """The name of the tag at `pos` as written, if it is the start of a stream."""
    match = _STREAM_NAME.match(data, pos)
    return match[1] if match else None


def _open(header: bytes, name: bytes) -> bytes:
    """The ``<open/>`` that says the same as the header of a stream."""
    try:
        stream = read(header.removesuffix(b">") + b"><probe/></" + name + b">")
    except StanzaError:
        raise ProtocolError("not-well-formed") from None
    if stream.xmlns != ns.STREAM or stream.children[0].xmlns != ns.CLIENT:
        raise ProtocolError("invalid-namespace")
    return WEBSOCKET.header(stream.attributes).encode()


def _check_declaration(declaration: bytes) -> None:
    match = _DECLARATION.fullmatch(declaration)
    if match is None:
        raise ProtocolError("restricted-xml")
    if match[1] is not None and match[1].lower() not in (b"utf-8", b"us-ascii"):
        raise ProtocolError("unsupported-encoding")
