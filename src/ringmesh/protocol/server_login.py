"""What the server's end of a stream does before somebody is logged in: STARTTLS and SASL."""

from __future__ import annotations

from functools import lru_cache

from ringmesh.errors import ProtocolError
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import Element
from ringmesh.protocol.framing import STREAM_PREFIX
from ringmesh.protocol.jid import JID
from ringmesh.protocol.sasl import (
    PLAIN,
    SCRAM_HASHES,
    ScramCredentials,
    ScramExchange,
    decode_plain,
)
from ringmesh.protocol.stream_events import (
    AuthenticationRequested,
    ScramAnswered,
    ScramRequested,
)


class ServerLogin:
    """What is offered, and the exchange that is under way.

    Methods raise `ProtocolError` whose text is the SASL condition to answer (RFC 6120 section 6.5).

    Args:
        mechanisms: SASL mechanisms to offer; none means that there must be TLS before.
        tls: offer to begin TLS.

    Attributes:
        jid: bare address of who wants to log in.
        success: what the server says last, in base64.
    """

    __slots__ = ("_mechanisms", "_scram", "jid", "success", "tls")

    def __init__(self, mechanisms: tuple[str, ...], tls: bool) -> None:
        self._mechanisms = mechanisms
        self._scram: ScramExchange | None = None
        self.tls = tls
        self.jid: JID | None = None
        self.success = ""

    @property
    def features(self) -> str:
        """The features to announce."""
        return _features(self._mechanisms, self.tls)

    def begin(self, auth: Element, domain: str) -> AuthenticationRequested | ScramRequested:
        """The client's ``<auth/>``."""
        mechanism = auth.get("mechanism")
        if not self._mechanisms:
            raise ProtocolError("encryption-required")
        if mechanism not in self._mechanisms:
            raise ProtocolError("invalid-mechanism")
        self.success = ""
        if mechanism == PLAIN:
            identity, local_part, password = decode_plain(auth.text)
            jid = self._set_jid(identity, local_part, domain)
            return AuthenticationRequested(jid.local, password)
        self._scram = ScramExchange(mechanism, auth.text)
        jid = self._set_jid(self._scram.identity, self._scram.local_part, domain)
        return ScramRequested(jid.local, SCRAM_HASHES[mechanism])

    def challenge(self, credentials: ScramCredentials, nonce: str) -> Element:
        """The ``<challenge/>`` after `ScramRequested`."""
        assert self._scram is not None
        return Element("challenge", ns.SASL, text=self._scram.challenge(credentials, nonce))

    def answer(self, response: Element) -> ScramAnswered:
        """The client's ``<response/>``."""
        assert self._scram is not None
        assert self.jid is not None
        success = self._scram.verify(response.text)
        self.success = success or ""
        return ScramAnswered(self.jid.local, success is not None)

    def _set_jid(self, identity: str, local_part: str, domain: str) -> JID:
        try:
            jid = JID.parse(f"{local_part}@{domain}")
        except ProtocolError:
            raise ProtocolError("not-authorized") from None
        if identity not in ("", local_part, str(jid)):
            raise ProtocolError("invalid-authzid")
        self.jid = jid
        return jid


@lru_cache(maxsize=16)
def _features(mechanisms: tuple[str, ...], tls: bool) -> str:
    listed = "".join(f"<mechanism>{mechanism}</mechanism>" for mechanism in mechanisms)
    required = "" if mechanisms else "<required/>"
    return (
        f"<stream:features {STREAM_PREFIX}>"
        + (f'<starttls xmlns="{ns.TLS}">{required}</starttls>' if tls else "")
        + (f'<mechanisms xmlns="{ns.SASL}">{listed}</mechanisms>' if mechanisms else "")
        + "</stream:features>"
    )
