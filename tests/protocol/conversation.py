"""Conversations as scripts, and two machines joined in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ringmesh.protocol.stanza_check import CheckedStanza
from ringmesh.protocol.stream import (
    AuthenticationRequested,
    ClientEvent,
    ClientStream,
    ResumptionRequested,
    SendFrame,
    ServerEvent,
    ServerStream,
)

DOMAIN = "chat.local.test"
RESOURCE = "51e28e1b39cb7f00"
STREAM_ID = "stream-to-resume"


def new_server() -> ServerStream:
    """A server machine that nobody has spoken to."""
    return ServerStream(DOMAIN, "s", RESOURCE)


def bound_server() -> ServerStream:
    """A server machine bound as 4002-777."""
    server = new_server()
    play(server, LOGIN)
    return server


def receive(server: ServerStream, frame: str | bytes) -> Sequence[ServerEvent | CheckedStanza]:
    """What comes of one frame, a message to be routed included."""
    received = server.receive(frame)
    return (received,) if isinstance(received, CheckedStanza) else received


CONVERSATIONS = Path(__file__).with_name("conversations")
LOGIN = (CONVERSATIONS / "login_javascript.txt").read_text()


def play(server: ServerStream, script: str) -> None:
    """Play a conversation, and compare all that the server does with the script.

    Lines begin with ``C:`` (the client sends a frame), ``S:`` (the server sends a frame), ``!``
    (the server's owner hears of an event), ``>`` (the owner answers: accept, refuse, close),
    ``#`` (a remark) or ``after`` (another conversation comes first).
    """
    heard: deque[str] = deque()
    for line in filter(None, map(str.strip, script.splitlines())):
        mark, _, text = line.partition(" ")
        if mark == "#":
            continue
        if mark == "after":
            play(server, (CONVERSATIONS / f"{text}.txt").read_text())
            continue
        if mark in ("S:", "!"):
            assert heard, f"nothing said where the script has {line}"
            assert heard.popleft() == line
            continue
        assert not heard, f"not in the script: {heard}"
        events = receive(server, text) if mark == "C:" else _OWNER[text](server)
        heard.extend(map(_line, events))
    assert not heard, f"not in the script: {heard}"


_OWNER = {
    "accept": ServerStream.authentication_succeeded,
    "refuse": ServerStream.authentication_failed,
    "close": ServerStream.close,
    "close system-shutdown": lambda server: server.close("system-shutdown"),
}


def _line(event: ServerEvent | CheckedStanza) -> str:
    if isinstance(event, SendFrame):
        return f"S: {event.frame}"
    if isinstance(event, AuthenticationRequested):
        return f"! AuthenticationRequested {event.local_part} {event.password}"
    values = (str(getattr(event, name)) for name in event.__dataclass_fields__)
    return " ".join(["!", type(event).__name__, *values]).rstrip()


@dataclass
class Joined:
    """A client and a server machine in one process; `events` has what both owners heard.

    Args:
        passwords: by local part.
    """

    client: ClientStream
    server: ServerStream = field(default_factory=new_server)
    passwords: dict[str, str] = field(default_factory=lambda: {"4002-777": "s3cret"})
    client_events: list[ClientEvent] = field(default_factory=list)
    server_events: list[ServerEvent | CheckedStanza] = field(default_factory=list)
    _to_client: deque[str] = field(default_factory=deque)
    _to_server: deque[str] = field(default_factory=deque)

    def from_client(self, events: Sequence[ClientEvent]) -> None:
        """Carry out what the client's machine asks for, and all that follows, in order."""
        for event in events:
            if isinstance(event, SendFrame):
                self._to_server.append(event.frame)
            else:
                self.client_events.append(event)
        self._exchange()

    def from_server(self, events: Sequence[ServerEvent | CheckedStanza]) -> None:
        """Carry out what the server's machine asks for, and all that follows, in order."""
        for event in events:
            if isinstance(event, SendFrame):
                self._to_client.append(event.frame)
            elif isinstance(event, AuthenticationRequested):
                right = self.passwords.get(event.local_part) == event.password
                self.from_server(_OWNER["accept" if right else "refuse"](self.server))
            elif isinstance(event, ResumptionRequested):
                self.from_server(self.server.enable_management(STREAM_ID, 60))
            else:
                self.server_events.append(event)
        self._exchange()

    def _exchange(self) -> None:
        while self._to_server:
            self.from_server(receive(self.server, self._to_server.popleft()))
        while self._to_client:
            self.from_client(self.client.receive(self._to_client.popleft()))
