"""One request and its answer, and what the pure cores of HTTP/1.1 and HTTP/2 have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

MAX_BODY = 16_384
"""Octets of an answer's body that are read; the rest is cut off."""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST over TLS.

    Attributes:
        authority: host, and port where it is not 443.
        path: with the query. Secret: push services know browsers by it.
        headers: names in lower case; without ``host`` and ``content-length``.
    """

    authority: str
    path: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names in lower case. The body is empty where it came too slowly or the
    connection ended within it, and cut where it was too large."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The status of an answer whose body is still to come."""

    stream_id: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Done:
    """An answer."""

    stream_id: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Lost:
    """There will be no answer.

    Attributes:
        unseen: the peer says that it has done nothing about the request.
        why: a few words.
    """

    stream_id: int
    unseen: bool
    why: str


Event: TypeAlias = Head | Done | Lost


class Core(Protocol):
    """The client's side of one connection. Pure: octets in, events and octets to send out."""

    @property
    def shared(self) -> bool:
        """Whether one connection carries many requests at once."""

    @property
    def room(self) -> int:
        """How many more requests may begin now."""

    @property
    def over(self) -> bool:
        """No request may begin any more; those under way may come to their end."""

    def open(self) -> bytes:
        """What is sent first."""

    def begin(self, request: Request) -> tuple[int, bytes]:
        """Begin a request, if there is `room`; its number and what to send."""

    def receive(self, data: bytes) -> tuple[list[Event], bytes]:
        """What octets from the peer mean, none being its end; and what to send."""

    def cancel(self, stream_id: int) -> bytes:
        """The answer to a request is of no use any more; what to send."""


def reply_of(headers: list[tuple[bytes, bytes]], status: bytes) -> Reply:
    """The head of an answer. A status that is none counts as 502 (Bad Gateway)."""
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return Reply(int(status) if len(status) == 3 and status.isdigit() else 502, found, b"")
