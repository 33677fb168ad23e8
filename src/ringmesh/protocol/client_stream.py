"""The client's end of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from ringmesh.errors import InvalidStateError, ProtocolError, StanzaError
from ringmesh.protocol import iq as iqs
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.carbons import ENABLING_ID
from ringmesh.protocol.element import Element, read, write
from ringmesh.protocol.framing import CLOSE, error_condition
from ringmesh.protocol.jid import JID
from ringmesh.protocol.sasl import PLAIN, encode_plain
from ringmesh.protocol.stream_events import (
    Acknowledged,
    AuthenticationFailed,
    Bound,
    CaughtUp,
    ClientEvent,
    Closed,
    FrameRefused,
    IqAnswered,
    MessageReceived,
    Resumed,
    SendFrame,
)
from ringmesh.protocol.stream_management import (
    InboundCounter,
    OutboundQueue,
    Resumption,
    count_of,
)

RESUME_SECONDS = 60
"""How long the server is asked to wait for us after a connection broke."""

_BIND_ID = "bind"
_CARBONS_ID = f"ringmesh{ENABLING_ID}"
_REQUEST = f'<r xmlns="{ns.STREAM_MANAGEMENT}"/>'


class _State(Enum):
    NEW = auto()
    OPENING = auto()  # waiting for the server's <open/> and mechanisms
    AUTHENTICATING = auto()  # waiting for <success/>
    REFUSED = auto()  # waiting for other credentials
    REOPENING = auto()  # waiting for the second <open/> and bind
    RESUMING = auto()  # waiting to hear whether the stream before goes on
    BINDING = auto()  # waiting for our address
    BOUND = auto()
    CLOSING = auto()  # waiting for the server's <close/>
    CLOSED = auto()


class ClientStream:
    """The client's end of one stream.

    A frame that cannot be read is dropped and reported, and the stream goes on: whoever sent it
    must not be able to end it.

    Args:
        domain: chat domain.
        resource: resource to ask for; None lets the server make one.
        stream_management: ask for acknowledgements and resumption (XEP-0198).
        resume: the stream that is to go on here, if it can; else this one is bound.
    """

    __slots__ = (
        "_catching_up",
        "_domain",
        "_handled",
        "_jid",
        "_local_part",
        "_password",
        "_resource",
        "_resume",
        "_state",
        "_stream_id",
        "_unacknowledged",
        "_wants_acknowledgements",
    )

    def __init__(
        self,
        domain: str,
        *,
        resource: str | None = None,
        stream_management: bool = False,
        resume: Resumption | None = None,
    ) -> None:
        self._domain = domain
        self._resource = resource
        self._wants_acknowledgements = stream_management
        self._resume = resume
        self._stream_id = ""
        self._catching_up = False
        self._local_part = ""
        self._password = ""
        self._state = _State.NEW
        self._jid: JID | None = None
        self._handled: InboundCounter | None = None
        self._unacknowledged: OutboundQueue | None = None

    @property
    def jid(self) -> JID | None:
        """This device's full address, once bound."""
        return self._jid

    @property
    def unacknowledged(self) -> tuple[str, ...]:
        """Sent stanzas that the server has not acknowledged; empty without XEP-0198."""
        return self._unacknowledged.unacknowledged if self._unacknowledged else ()

    @property
    def resumption(self) -> Resumption | None:
        """What another `ClientStream` needs to go on from here; None if the server cannot."""
        if not (self._stream_id and self._jid and self._handled and self._unacknowledged):
            return None
        return Resumption(self._stream_id, self._jid, self._handled, self._unacknowledged)

    def open(self, local_part: str, password: str) -> Sequence[ClientEvent]:
        """Start the stream; the server's answers then lead to `Bound` by themselves.

        Raises:
            InvalidStateError: it was started before.
        """
        self._expect(_State.NEW)
        self._local_part, self._password = local_part, password
        self._state = _State.OPENING
        return self._open()

    def authenticate(self, local_part: str, password: str) -> Sequence[ClientEvent]:
        """Try again with other credentials, after `AuthenticationFailed`.

        Raises:
            InvalidStateError: no login has failed.
        """
        self._expect(_State.REFUSED)
        self._local_part, self._password = local_part, password
        return self._authenticate()

    def receive(self, frame: str | bytes) -> Sequence[ClientEvent]:
        """Take one frame."""
        if self._state is _State.CLOSED or not frame.strip():
            return ()
        try:
            element = read(frame)
        except StanzaError as error:
            return (FrameRefused(str(error)),)
        if element.xmlns == ns.CLIENT:
            return self._stanza(element)
        if element.xmlns == ns.STREAM_MANAGEMENT:
            return self._stream_management(element)
        if element.xmlns == ns.SASL:
            return self._sasl(element)
        if element.xmlns == ns.FRAMING and element.name == "close":
            return self._closed()
        if element.xmlns == ns.STREAM and element.name == "error":
            self._state = _State.CLOSED
            return (SendFrame(CLOSE), Closed(error_condition(element)))
        if element.xmlns == ns.STREAM and element.name == "features":
            return self._features(element)
        return ()

    def send(self, frame: str) -> Sequence[ClientEvent]:
        """Send a stanza, counting it and asking for its acknowledgement if those are on.

        Raises:
            InvalidStateError: the stream is not bound.
        """
        self._expect(_State.BOUND)
        return self._send_stanza(frame)

    def ping(self, iq_id: str) -> Sequence[ClientEvent]:
        """Ask the server for a sign of life (XEP-0199); `IqAnswered` brings it.

        Raises:
            InvalidStateError: the stream is not bound.
        """
        ping = iqs.request("get", iq_id, Element("ping", ns.PING), self._domain)
        return self.send(write(ping))

    def close(self) -> Sequence[ClientEvent]:
        """Say goodbye; `Closed` follows when the server has answered."""
        if self._state in (_State.NEW, _State.CLOSING, _State.CLOSED):
            return ()
        self._state = _State.CLOSING
        return (SendFrame(CLOSE),)

    def _send_stanza(self, frame: str) -> Sequence[ClientEvent]:
        if self._unacknowledged is None:
            return (SendFrame(frame),)
        self._unacknowledged.sent(frame)
        request = (SendFrame(_REQUEST),) if self._handled else ()
        return (SendFrame(frame), *request)

    def _expect(self, state: _State) -> None:
        if self._state is not state:
            raise InvalidStateError(f"the chat stream is {self._state.name.lower()}")

    def _open(self) -> Sequence[ClientEvent]:
        return _send(Element("open", ns.FRAMING, {"version": "1.0", "to": self._domain}))

    def _authenticate(self) -> Sequence[ClientEvent]:
        self._state = _State.AUTHENTICATING
        text = encode_plain(self._local_part, self._password)
        return _send(Element("auth", ns.SASL, {"mechanism": PLAIN}, text=text))

    def _features(self, features: Element) -> Sequence[ClientEvent]:
        if self._state is _State.OPENING:
            mechanisms = features.child("mechanisms", ns.SASL)
            offered = [each.text.strip() for each in mechanisms.children] if mechanisms else []
            if PLAIN in offered:
                return self._authenticate()
            self._state = _State.REFUSED
            return (AuthenticationFailed("invalid-mechanism"),)
        if self._state is _State.REOPENING:
            if self._resume is None:
                return self._bind()
            self._state = _State.RESUMING
            handled = str(self._resume.handled.handled)
            attributes = {"previd": self._resume.stream_id, "h": handled}
            return _send(Element("resume", ns.STREAM_MANAGEMENT, attributes))
        return ()

    def _bind(self) -> Sequence[ClientEvent]:
        self._state = _State.BINDING
        resource = [Element("resource", text=self._resource)] if self._resource else []
        return _send(iqs.request("set", _BIND_ID, Element("bind", ns.BIND, children=resource)))

    def _sasl(self, element: Element) -> Sequence[ClientEvent]:
        if self._state is not _State.AUTHENTICATING:
            return ()
        if element.name == "success":
            self._password = ""
            self._state = _State.REOPENING
            return self._open()
        if element.name == "failure":
            self._state = _State.REFUSED
            conditions = [each.name for each in element.children if each.name != "text"]
            return (AuthenticationFailed(conditions[0] if conditions else "not-authorized"),)
        return ()

    def _stanza(self, element: Element) -> Sequence[ClientEvent]:
        if self._handled:
            self._handled.stanza_handled()
        if element.name == "message":
            return (MessageReceived(element),)
        if element.name != "iq":
            return ()
        if element.get("type") in ("get", "set"):
            bound = self._state is _State.BOUND
            return self._send_stanza(write(_iq_answer(element))) if bound else ()
        iq_id = element.get("id") or ""
        if self._state is _State.BINDING and iq_id == _BIND_ID:
            return self._bound(element)
        return () if iq_id == _CARBONS_ID else (IqAnswered(iq_id, element),)

    def _bound(self, answer: Element) -> Sequence[ClientEvent]:
        bind = answer.child("bind", ns.BIND)
        try:
            self._jid = JID.parse((bind and bind.child_text("jid")) or "")
        except ProtocolError:
            self._state = _State.CLOSED
            return (SendFrame(CLOSE), Closed("undefined-condition", "the server gave no address"))
        self._state = _State.BOUND
        carbons = iqs.request("set", _CARBONS_ID, Element("enable", ns.CARBONS))
        frames: list[ClientEvent] = []
        if self._wants_acknowledgements:
            wanted = {"resume": "true", "max": str(RESUME_SECONDS)}
            frames += _send(Element("enable", ns.STREAM_MANAGEMENT, wanted))
            self._unacknowledged = OutboundQueue()
        frames += self._send_stanza(write(carbons))
        frames += self._send_stanza(write(Element("presence", ns.CLIENT)))
        return (*frames, Bound(self._jid))

    def _stream_management(self, element: Element) -> Sequence[ClientEvent]:
        if self._state is _State.RESUMING:
            return self._resume_answered(element)
        if element.name == "enabled" and self._unacknowledged and not self._handled:
            self._handled = InboundCounter()
            if element.get("resume") in ("true", "1"):
                self._stream_id = element.get("id") or ""
        elif element.name == "failed":
            self._unacknowledged = None
        elif element.name == "r" and self._handled:
            caught_up = (CaughtUp(),) if self._catching_up else ()
            self._catching_up = False
            return (*_send(self._handled.answer()), *caught_up)
        elif element.name == "a" and self._unacknowledged:
            frames = self._unacknowledged.acknowledged(element)
            return (Acknowledged(frames),) if frames else ()
        return ()

    def _resume_answered(self, element: Element) -> Sequence[ClientEvent]:
        resume = self._resume
        if resume is None or element.name not in ("resumed", "failed"):
            return ()
        self._resume = None
        frames = resume.sent.acknowledged(element)
        acknowledged = (Acknowledged(frames),) if frames else ()
        if element.name == "failed":
            return (*acknowledged, *self._bind())
        self._state = _State.BOUND
        self._jid, self._stream_id, self._handled = resume.jid, resume.stream_id, resume.handled
        self._unacknowledged = OutboundQueue(acknowledged=count_of(element) or 0)
        self._catching_up = True
        # Carbons are on already, unless the request was among what got lost.
        carbons = iqs.request("set", _CARBONS_ID, Element("enable", ns.CARBONS))
        return (*acknowledged, Resumed(resume.jid), *self._send_stanza(write(carbons)))

    def _closed(self) -> Sequence[ClientEvent]:
        answer = () if self._state is _State.CLOSING else (SendFrame(CLOSE),)
        self._state = _State.CLOSED
        return (*answer, Closed())


def _send(element: Element) -> tuple[SendFrame]:
    return (SendFrame(write(element)),)


def _iq_answer(element: Element) -> Element:
    """What a client answers: only pings (XEP-0199) are served here."""
    served = element.get("type") == "get" and element.child("ping", ns.PING)
    answer = iqs.result(element) if served else iqs.error(element, "service-unavailable")
    answer.attributes.pop("from", None)
    if (sender := element.get("from")) is not None:
        answer.attributes["to"] = sender
    return answer
