"""The server's end of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from ringmesh.errors import ConfigurationError, ProtocolError, StanzaError
from ringmesh.protocol import iq as iqs
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.carbons import ENABLING_ID
from ringmesh.protocol.element import Element, read, write
from ringmesh.protocol.framing import (
    STREAM_END,
    STREAM_PREFIX,
    WEBSOCKET,
    Framing,
    stream_error,
)
from ringmesh.protocol.jid import JID
from ringmesh.protocol.sasl import PLAIN, ScramCredentials
from ringmesh.protocol.server_login import ServerLogin
from ringmesh.protocol.stanza_check import CheckedStanza, check
from ringmesh.protocol.stream_events import (
    ActivityChanged,
    Bound,
    CarbonsChanged,
    ClientHandled,
    Closed,
    LastActivityRequested,
    PresenceChanged,
    ResumeRequested,
    ResumptionRequested,
    SendFrame,
    ServerEvent,
    TlsRequested,
)
from ringmesh.protocol.stream_management import InboundCounter, count_of

MIN_RESOURCE_LENGTH = 12  # some SDKs drop messages whose sender contains their own resource

# Mobile SDKs never finish their login unless the session feature is there.
_FEATURES_AFTER_LOGIN = (
    f'<stream:features {STREAM_PREFIX}><bind xmlns="{ns.BIND}"/><session xmlns="{ns.SESSION}"/>'
)
_FEATURE_MANAGEMENT = f'<sm xmlns="{ns.STREAM_MANAGEMENT}"/>'
_FEATURES_END = "</stream:features>"


class _State(Enum):
    OPENING = auto()  # waiting for <open/>
    AUTHENTICATING = auto()  # waiting for <auth/>, or for <starttls/> where that is offered
    SECURING = auto()  # our owner begins TLS
    CHECKING = auto()  # our owner checks the credentials
    CHALLENGED = auto()  # waiting for <response/>
    REOPENING = auto()  # waiting for the second <open/>
    BINDING = auto()  # waiting for the bind request
    BOUND = auto()
    CLOSED = auto()


class ServerStream:
    """The server's end of one stream.

    Every iq request is answered, elements that mean nothing to us are ignored, and only what
    breaks the protocol ends the stream. After a failed login the client may try again: how often
    is the owner's business.

    Args:
        domain: chat domain of the addresses handed out.
        stream_id: unguessable id of the stream.
        resource: at least 12 random characters: the device's resource unless it asks for one.
        framing: how the stream is carried.
        mechanisms: SASL mechanisms to offer; none means that there must be TLS before.
        tls: offer to begin TLS.
    """

    __slots__ = (
        "_domain",
        "_framing",
        "_handled",
        "_has_session",
        "_jid",
        "_login",
        "_resource",
        "_state",
        "_stream_id",
    )

    def __init__(
        self,
        domain: str,
        stream_id: str,
        resource: str,
        *,
        framing: Framing = WEBSOCKET,
        mechanisms: tuple[str, ...] = (PLAIN,),
        tls: bool = False,
    ) -> None:
        if len(resource) < MIN_RESOURCE_LENGTH:
            raise ConfigurationError(f"resource shorter than {MIN_RESOURCE_LENGTH} characters")
        self._domain = domain
        self._stream_id = stream_id
        self._resource = resource
        self._framing = framing
        self._has_session = False
        self._login: ServerLogin | None = ServerLogin(mechanisms, tls)  # until the device is bound
        self._state = _State.OPENING
        self._jid: JID | None = None
        self._handled: InboundCounter | None = None

    @property
    def jid(self) -> JID | None:
        """The user's address: bare once logged in, full once bound."""
        return self._jid

    @property
    def awaits_tls(self) -> bool:
        """Whether nothing more may be read in clear text: see `TlsRequested`."""
        return self._state is _State.SECURING

    def receive(self, frame: bytes | str) -> Sequence[ServerEvent] | CheckedStanza:
        """Take one frame.

        Nearly all are messages of bound streams, which are not worth an event: they come back
        checked, to be routed. `stanza_check.stamp` writes what to forward.
        """
        if self._state is _State.CLOSED:
            return ()
        if isinstance(frame, str):
            frame = frame.encode(errors="surrogatepass")
        try:
            stanza = check(frame)
        except StanzaError as error:
            return self._unreadable(frame.strip(), str(error))
        if self._state is _State.BOUND and stanza.name == "message" and stanza.xmlns == ns.CLIENT:
            if self._handled:
                self._handled.stanza_handled()
            return stanza
        return self._element(read(stanza.frame))

    def secured(self, mechanisms: tuple[str, ...]) -> Sequence[ServerEvent]:
        """TLS has begun; the stream starts over, with these mechanisms."""
        if self._state is _State.SECURING:
            self._state = _State.OPENING
            self._login = ServerLogin(mechanisms, tls=False)
            self._stream_id += "-tls"
        return ()

    def challenge(self, credentials: ScramCredentials, nonce: str) -> Sequence[ServerEvent]:
        """Answer `ScramRequested`.

        Args:
            credentials: for a user who does not exist, ones that look the same each time.
            nonce: fresh random text of letters and digits.
        """
        if self._state is not _State.CHECKING or self._login is None:
            return ()
        self._state = _State.CHALLENGED
        return _send(self._login.challenge(credentials, nonce))

    def authentication_succeeded(self) -> Sequence[ServerEvent]:
        """The credentials of `AuthenticationRequested` or `ScramAnswered` are right."""
        if self._state is not _State.CHECKING or self._login is None:
            return ()
        self._state = _State.REOPENING
        self._jid = self._login.jid
        return _send(Element("success", ns.SASL, text=self._login.success))

    def authentication_failed(self, condition: str = "not-authorized") -> Sequence[ServerEvent]:
        """They are wrong (``not-authorized``) or cannot be checked (``temporary-auth-failure``)."""
        if self._state is not _State.CHECKING:
            return ()
        self._state = _State.AUTHENTICATING
        return self._sasl_failure(condition)

    def last_activity(self, iq_id: str, jid: JID, seconds: int | None) -> Sequence[ServerEvent]:
        """Answer `LastActivityRequested`: seconds since the user was online, None if unknown."""
        if self._state is not _State.BOUND:
            return ()
        asked = Element("iq", ns.CLIENT, {"id": iq_id, "to": str(jid)})
        if seconds is None:
            return _send(iqs.error(asked, "item-not-found"))
        query = Element("query", ns.LAST_ACTIVITY, {"seconds": str(seconds)})
        return _send(iqs.result(asked, query))

    def close(self, condition: str | None = None, detail: str = "") -> Sequence[ServerEvent]:
        """End the stream, with a stream error (RFC 6120 section 4.9.3) if a condition is given."""
        return self._close(condition, detail)

    def _close(self, condition: str | None, detail: str = "") -> Sequence[ServerEvent]:
        if self._state is _State.CLOSED:
            return ()
        opened = self._state not in (_State.OPENING, _State.REOPENING)
        self._state = _State.CLOSED
        error = (SendFrame(stream_error(condition)),) if condition else ()
        if not opened and self._framing.error_needs_header:
            error = (SendFrame(self._framing.header(self._header(self._domain, "0"))), *error)
        return (*error, SendFrame(self._framing.end), Closed(condition, detail))

    def _unreadable(self, frame: bytes, detail: str) -> Sequence[ServerEvent]:
        if not frame:  # a keep-alive
            return ()
        if frame == STREAM_END.encode():  # how mobile SDKs say goodbye
            return self._close(None)
        return self._close("not-well-formed", detail)

    def _element(self, element: Element) -> Sequence[ServerEvent]:
        match element.xmlns, element.name:
            case ns.FRAMING, "open":
                return self._open(element)
            case ns.FRAMING, "close":
                return self._close(None)
            case ns.TLS, "starttls":
                return self._starttls()
            case ns.SASL, name:
                return self._sasl(name, element)
            case ns.STREAM_MANAGEMENT, name:
                return self._stream_management(name, element)
            case ns.CLIENT, "iq" | "message" | "presence":
                return self._stanza(element)
            case ns.CLIENT_STATE, "active" | "inactive" if self._state is _State.BOUND:
                return (ActivityChanged(element.name == "active"),)
        return ()

    def _open(self, element: Element) -> Sequence[ServerEvent]:
        match self._state, self._login:
            case _State.OPENING, ServerLogin() as login:
                self._state, number, features = _State.AUTHENTICATING, "1", login.features
            case _State.REOPENING, _:
                self._state, number = _State.BINDING, "2"
                management = _FEATURE_MANAGEMENT if self._framing.announces_management else ""
                features = _FEATURES_AFTER_LOGIN + management + _FEATURES_END
            case _:
                return self._close("policy-violation", "stream opened out of turn")
        header = self._header(element.get("to") or self._domain, number)
        return tuple(SendFrame(each) for each in self._framing.opening(header, features))

    def _header(self, to: str, number: str) -> dict[str, str]:
        """The attributes of our header; SDKs put the host of their URL into `to`."""
        sender = to if _is_host(to) else self._domain
        stream_id = f"{self._stream_id}-{number}"
        return {"from": sender, "id": stream_id, "version": "1.0", "xml:lang": "en"}

    def _starttls(self) -> Sequence[ServerEvent]:
        offered = self._login is not None and self._login.tls
        if self._state is not _State.AUTHENTICATING or not offered:
            return (*_send(Element("failure", ns.TLS)), *self._close(None))
        self._state = _State.SECURING
        return (*_send(Element("proceed", ns.TLS)), TlsRequested())

    def _sasl(self, name: str, element: Element) -> Sequence[ServerEvent]:
        event: ServerEvent
        if self._login is None:
            return ()
        try:
            match self._state, name:
                case _State.OPENING, "auth":
                    return self._close("not-authorized", "login before the stream was opened")
                case _State.AUTHENTICATING, "auth":
                    event = self._login.begin(element, self._domain)
                case _State.CHALLENGED, "response":
                    event = self._login.answer(element)
                case _State.CHALLENGED, _:
                    raise ProtocolError("aborted")
                case _:
                    return ()
        except ProtocolError as error:
            self._state = _State.AUTHENTICATING
            return self._sasl_failure(str(error))
        self._state = _State.CHECKING
        return (event,)

    def _sasl_failure(self, condition: str) -> Sequence[ServerEvent]:
        return _send(Element("failure", ns.SASL, children=[Element(condition)]))

    def _stream_management(self, name: str, element: Element) -> Sequence[ServerEvent]:
        match name:
            case "r" if self._handled:
                return _send(self._handled.answer())
            case "a" if self._handled and (count := count_of(element)) is not None:
                return (ClientHandled(count),)
            case "enable" if self._state is _State.BOUND and not self._handled:
                self._handled = InboundCounter()
                # One mobile SDK asks for resumption too, and is lost when it gets it. It asks
                # before the legacy session, and does not say for how long.
                knows = self._has_session or element.get("max")
                if element.get("resume") in ("true", "1") and knows:
                    return (ResumptionRequested(),)
                return self.enable_management()
            case "resume" if self._state is _State.BINDING:
                return (ResumeRequested(element.get("previd") or "", count_of(element)),)
            case "enable":
                return _management_failed("unexpected-request")
            case "resume":
                return self.resume_failed()
        return ()

    @property
    def handled(self) -> InboundCounter | None:
        """Counts what the client sent, if acknowledgements are on."""
        return self._handled

    def enable_management(self, stream_id: str = "", seconds: int = 0) -> Sequence[ServerEvent]:
        """Answer `ResumptionRequested`: with an unguessable id, and the seconds that it is good
        for, or without both if there is to be no resumption."""
        attributes = {"id": stream_id, "resume": "true", "max": str(seconds)} if stream_id else {}
        return _send(Element("enabled", ns.STREAM_MANAGEMENT, attributes))

    def resumed(self, stream_id: str, jid: JID, handled: InboundCounter) -> Sequence[ServerEvent]:
        """Answer `ResumeRequested`: that stream goes on here, as this device."""
        self._become(jid)
        self._handled = handled
        attributes = {"previd": stream_id, "h": str(handled.handled)}
        return _send(Element("resumed", ns.STREAM_MANAGEMENT, attributes))

    def resume_failed(self) -> Sequence[ServerEvent]:
        """Answer `ResumeRequested`: there is no such stream; the client may bind instead."""
        return _management_failed("item-not-found")

    def _stanza(self, element: Element) -> Sequence[ServerEvent]:
        if self._state is _State.BINDING and element.name == "iq":
            return self._bind(element)
        if self._state is not _State.BOUND:
            return self._close("not-authorized", f"{element.name} before the device was bound")
        if self._handled:
            self._handled.stanza_handled()
        return self._iq(element) if element.name == "iq" else _presence(element)

    def _bind(self, element: Element) -> Sequence[ServerEvent]:
        bind = element.child("bind", ns.BIND)
        if element.get("type") != "set" or bind is None or self._jid is None:
            return _send(iqs.error(element, "not-authorized", "auth"))
        try:
            jid = self._jid.with_resource(bind.child_text("resource") or self._resource)
        except ProtocolError:
            jid = self._jid.with_resource(self._resource)
        self._become(jid)
        address = Element("jid", text=str(jid))
        answer = iqs.result(element, Element("bind", ns.BIND, children=[address]))
        return (*_send(answer), Bound(jid))

    def _become(self, jid: JID) -> None:
        """Be this device, and forget what only the login needed: many streams are idle for long."""
        self._state, self._jid = _State.BOUND, jid
        self._login, self._stream_id, self._resource = None, "", ""

    def _iq(self, element: Element) -> Sequence[ServerEvent]:
        if element.get("type") in ("result", "error"):
            return ()
        child = element.children[0] if len(element.children) == 1 else Element("")
        match child.xmlns, child.name:
            case ns.CARBONS, "enable" | "disable":
                verbatim = (element.get("id") or "").endswith(ENABLING_ID)
                changed = CarbonsChanged(child.name == "enable", verbatim)
                return (*_send(iqs.result(element)), changed)
            case ns.SESSION, "session":
                self._has_session = True
            case ns.MOBILE, "mobile":
                active = child.get("enable") not in ("true", "1")
                return (*_send(iqs.result(element)), ActivityChanged(active))
            case ns.LAST_ACTIVITY, "query":
                return _last_activity(element)
        return _send(iqs.stateless_answer(element))


def _management_failed(condition: str) -> Sequence[ServerEvent]:
    cause = Element(condition, ns.STANZA_ERRORS)
    return _send(Element("failed", ns.STREAM_MANAGEMENT, children=[cause]))


def _send(element: Element) -> tuple[SendFrame]:
    return (SendFrame(write(element)),)


def _presence(element: Element) -> Sequence[ServerEvent]:
    if element.get("to") or element.get("type") not in (None, "unavailable"):
        return ()
    return (PresenceChanged(element.get("type") is None),)


def _last_activity(element: Element) -> Sequence[ServerEvent]:
    iq_id, to = element.get("id"), element.get("to")
    if iq_id is None or to is None:
        return _send(iqs.error(element, "bad-request", "modify"))
    try:
        jid = JID.parse(to)
    except ProtocolError:
        return _send(iqs.error(element, "jid-malformed", "modify"))
    return (LastActivityRequested(iq_id, jid),)


def _is_host(text: str) -> bool:
    try:
        jid = JID.parse(text)
    except ProtocolError:
        return False
    return not jid.local and not jid.resource
