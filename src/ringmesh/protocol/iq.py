"""Iq stanzas (RFC 6120 section 8.2.3): building them, and the answers that need no state."""

from __future__ import annotations

from ringmesh.errors import ProtocolError
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import Element
from ringmesh.protocol.jid import JID


def request(iq_type: str, iq_id: str, child: Element, to: str | None = None) -> Element:
    """An iq of type ``get`` or ``set``."""
    attributes = {"type": iq_type, "id": iq_id} | ({"to": to} if to else {})
    return Element("iq", ns.CLIENT, attributes, [child])


def result(iq: Element, child: Element | None = None) -> Element:
    """The result for a request."""
    return _answer(iq, "result", [child] if child else [])


def error(iq: Element, condition: str, error_type: str = "cancel") -> Element:
    """The error for a request (RFC 6120 section 8.3)."""
    cause = Element(condition, ns.STANZA_ERRORS)
    return _answer(iq, "error", [Element("error", None, {"type": error_type}, [cause])])


def stateless_answer(iq: Element) -> Element:
    """The server's answer to a request that changes nothing: every request gets one.

    Disco lists few features on purpose: mobile SDKs act on what they find there.
    """
    child = iq.children[0] if len(iq.children) == 1 else None
    if child is None or iq.get("id") is None or iq.get("type") not in ("get", "set"):
        return error(iq, "bad-request", "modify")
    match child.xmlns, child.name:
        case ns.PING, "ping":
            return result(iq)
        case ns.SESSION, "session":
            return result(iq)
        case ns.ROSTER, "query" if iq.get("type") == "get":
            return result(iq, Element("query", ns.ROSTER))
        case ns.PRIVACY, "query" if _asks_for_names(iq, child):
            return result(iq, Element("query", ns.PRIVACY))  # there are no lists
        case ns.DISCO_INFO, "query":
            return result(iq, _disco_info())
        case ns.DISCO_ITEMS, "query":
            return result(iq, Element("query", ns.DISCO_ITEMS))
    return error(iq, "service-unavailable")


def _asks_for_names(iq: Element, query: Element) -> bool:
    """Whether the names of one's own privacy lists are asked for (XEP-0016 section 2.3)."""
    return iq.get("type") == "get" and iq.get("to") is None and not query.children


def _disco_info() -> Element:
    identity = Element("identity", None, {"category": "server", "type": "im", "name": "Ringmesh"})
    features = (ns.DISCO_INFO, ns.DISCO_ITEMS, ns.PING, ns.LAST_ACTIVITY)
    listed = [Element("feature", None, {"var": feature}) for feature in features]
    return Element("query", ns.DISCO_INFO, children=[identity, *listed])


def _answer(iq: Element, answer_type: str, children: list[Element]) -> Element:
    attributes = {"type": answer_type}
    if (iq_id := iq.get("id")) is not None:
        attributes["id"] = iq_id
    to = iq.get("to")
    if to and _is_address(to):  # clients read every `from`, and fail on what is no address
        attributes["from"] = to
    return Element("iq", ns.CLIENT, attributes, children)


def _is_address(text: str) -> bool:
    try:
        JID.parse(text)
    except ProtocolError:
        return False
    return True
