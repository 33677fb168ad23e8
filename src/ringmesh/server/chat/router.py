"""Who is online, and how a stanza finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.carbons import COPIED_SIGNALS, sent_copy
from ringmesh.protocol.dialect import is_legal_form, legal_form
from ringmesh.protocol.element import Element, read, write
from ringmesh.protocol.jid import JID
from ringmesh.protocol.stanza_check import CheckedStanza, stamp
from ringmesh.server.bus import Bus
from ringmesh.server.chat.call_memory import CallMemory, session_id_of

_SIGNAL_TYPE = b"<signalType>"
_COPIED = tuple(f"{name}<".encode() for name in COPIED_SIGNALS)


class Device(Protocol):
    """One online device, as the router sees it.

    Attributes:
        app_id: its application.
        user_id: its user, within that application.
        user: ``{user id}-{application id}``.
        jid: full address.
        resource: resource part of it.
        verbatim: whether its client reads whatever JavaScript SDKs write; others get legal XML.
        resumable: whether its client resumes, which no SDK but ours does.
        carbons: whether it wants copies of what its user's other devices send (XEP-0280).
        active: False while its app is in the background.
    """

    app_id: int
    user_id: int
    user: str
    jid: str
    resource: str
    carbons: bool
    resumable: bool
    verbatim: bool
    active: bool

    @property
    def reachable(self) -> bool:
        """Whether a call rings there without a push."""

    def send(self, stanza: bytes, /) -> None:
        """Queue a stanza. Never waits, never raises."""


class CallWatcher(Protocol):
    """Is told of calls. Nothing here waits or raises."""

    def called(
        self, app_id: int, caller_id: int, callee: str, session_id: bytes, signal: bytes
    ) -> None:
        """A user sent a stamped ``call`` to another."""

    def ended(
        self, app_id: int, sender_id: int, to: str, session_id: bytes, kind: bytes, resource: str
    ) -> None:
        """A user sent an ``accept``, ``reject`` or ``hangUp``: `kind` begins with that word."""

    def ringing(self, app_id: int, user_id: int) -> Sequence[bytes]:
        """The newest stamped ``call`` of each call that rings for a user now."""


OnlineUsers: TypeAlias = dict[str, tuple[Device, ...]]
"""The online devices of one application's users, by `Device.user`."""


class Router:
    """The registry of online devices, and delivery to them.

    Each application has a table of its own, so users reach only users of their application. What
    is for somebody offline is dropped, never stored. Nothing is held back as a duplicate:
    repeated ``call`` signals are part of how calls connect.

    Args:
        bus: reaches devices on other nodes.
        calls: is shown the calls that pass.

    Attributes:
        devices: how many are online.
        relayed: stanzas taken from devices.
        delivered: copies handed to devices of this node.
        dropped: stanzas for users without a device on this node.
        watcher: is told of calls, if there is one.
    """

    def __init__(self, bus: Bus, calls: CallMemory) -> None:
        self._bus = bus
        self._calls = calls
        self.watcher: CallWatcher | None = None
        self._applications: dict[int, OnlineUsers] = {}
        self.devices = self.relayed = self.delivered = self.dropped = 0
        bus.attach(self._from_bus)

    def online(self, app_id: int) -> OnlineUsers:
        """Who is online in an application now; not to be changed by the caller."""
        return self._applications.get(app_id, {})

    def add(self, device: Device) -> None:
        """`device` came online."""
        online = self._applications.setdefault(device.app_id, {})
        others = online.get(device.user, ())
        online[device.user] = (*others, device)
        self.devices += 1
        if not others:
            self._bus.subscribe(device.user)

    def remove(self, device: Device) -> None:
        """`device` went offline."""
        online = self._applications[device.app_id]
        others = tuple(other for other in online[device.user] if other is not device)
        self.devices -= 1
        if others:
            online[device.user] = others
            return
        del online[device.user]
        if not online:
            del self._applications[device.app_id]
        self._bus.unsubscribe(device.user)

    def replace(self, old: Device, new: Device) -> None:
        """The same device of the same user is reached in another way from now on."""
        online = self._applications[old.app_id]
        devices = online[old.user]
        online[old.user] = tuple(new if device is old else device for device in devices)

    def became_reachable(self, device: Device) -> None:
        """`device` can ring from now on: show it the calls that it would hear of only with their
        next repeat. An app that a push has started rings at once."""
        if self.watcher is not None:
            for stanza in self.watcher.ringing(device.app_id, device.user_id):
                self.delivered += 1
                device.send(self._form_for(device, stanza))

    def route(self, sender: Device, message: CheckedStanza) -> None:
        """Deliver a message to the address in its ``to``, stamped with its sender's.

        A bare address means all devices of a user, a full one only that device.
        """
        to = message.attributes.get("to")
        if to is None:
            return
        user, _, domain = to.partition("@")
        _, _, resource = domain.partition("/")
        stanza = stamp(message, sender.jid)
        self.relayed += 1
        self.send(sender.app_id, user, stanza, resource)
        if message.attributes.get("type") == "headline":
            self._look_at_signal(sender, user, stanza)

    def send(
        self, app_id: int, user: str, stanza: bytes, resource: str = "", publish: bool = True
    ) -> None:
        """Deliver a finished stanza to one or all devices of a user, on every node or this one."""
        devices = self._applications.get(app_id, {}).get(user, ())
        legal = None
        for device in devices:
            if resource and device.resource != resource:
                continue
            self.delivered += 1
            if device.verbatim:
                device.send(stanza)
            else:
                legal = legal or self._form_for(device, stanza)
                device.send(legal)
        if publish:
            self.dropped += not devices
            if devices or user.endswith(f"-{app_id}"):
                self._bus.publish(user, stanza, resource)

    def send_carbons(
        self, app_id: int, user: str, stanza: bytes, sender: Device | None = None
    ) -> None:
        """Show what `user` sent to their devices that want such copies (XEP-0280)."""
        self._copy(app_id, user, stanza, sender)
        self._bus.publish(user, stanza, carbon=True)

    def bounce(self, stanza: bytes, receiver: Device) -> None:
        """Tell the sender that a message did not surely arrive, if its client can resume.

        Others are not told: some SDKs take an error for the end of their stream.
        """
        message = read(stanza)
        sender, message_id = message.get("from") or "", message.get("id")
        user, resource = sender.partition("@")[0], sender.partition("/")[2]
        if message.name != "message" or message.get("type") == "error" or message_id is None:
            return
        for device in self.online(receiver.app_id).get(user, ()):
            if device.resource == resource and device.resumable:
                attributes = {"type": "error", "id": message_id, "to": device.jid}
                attributes["from"] = receiver.jid.partition("/")[0]
                cause = Element("recipient-unavailable", ns.STANZA_ERRORS)
                error = Element("error", "", {"type": "wait"}, [cause])
                device.send(write(Element("message", ns.CLIENT, attributes, [error])).encode())

    def _form_for(self, device: Device, stanza: bytes) -> bytes:
        """What `device` can read of a stanza."""
        if device.verbatim or is_legal_form(stanza):
            return stanza
        return legal_form(stanza, self._calls.base_fields(device.app_id, stanza))

    def _look_at_signal(self, sender: Device, to: str, stanza: bytes) -> None:
        """Remember calls; copy what ends the ringing of the sender's other devices."""
        start = stanza.find(_SIGNAL_TYPE)
        if start < 0:
            return
        start += len(_SIGNAL_TYPE)
        if stanza.startswith(b"call<", start):
            session_id = self._calls.remember(stanza, sender.app_id, sender.user_id)
            if session_id and self.watcher is not None:
                self.watcher.called(sender.app_id, sender.user_id, to, session_id, stanza)
        elif stanza.startswith(_COPIED, start):
            self.send_carbons(sender.app_id, sender.user, stanza, sender)
            if self.watcher is not None:
                session_id, kind = session_id_of(stanza), stanza[start : start + 6]
                self.watcher.ended(
                    sender.app_id, sender.user_id, to, session_id, kind, sender.resource
                )

    def _copy(self, app_id: int, user: str, stanza: bytes, sender: Device | None) -> None:
        for device in self.online(app_id).get(user, ()):
            if device.carbons and device is not sender:
                jid = JID.parse(device.jid)
                device.send(sent_copy(self._form_for(device, stanza), jid.bare(), jid))

    def _from_bus(self, user: str, stanza: bytes, resource: str, carbon: bool) -> None:
        app_id = int(user.rpartition("-")[2])
        if carbon:
            self._copy(app_id, user, stanza, None)
            return
        self.send(app_id, user, stanza, resource, publish=False)
