"""Everything that happens in a call, as values, and the hub that hands them out.

Each event belongs to the callback of the same name: `CallAcceptedByUser` is what
`on_call_accepted_by_user` is told. An event's fields are the callback's arguments, in order.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar, cast

from ringmesh.errors import InvalidStateError
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.signals import UserInfo

if TYPE_CHECKING:
    from ringmesh.client.session import P2PSession

_logger = logging.getLogger(__name__)

QUEUE_LIMIT = 1000
"""Events that a slow reader may leave unread; beyond that the oldest are dropped and logged."""


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    callback: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.callback = "on" + re.sub("(?=[A-Z])", "_", cls.__name__).lower()

    def arguments(self) -> tuple[object, ...]:
        """What the callback is called with."""
        return tuple(getattr(self, item.name) for item in fields(self))


@dataclass(frozen=True, slots=True)
class SessionEvent(Event):
    """Base of the events of one call."""

    session: P2PSession


@dataclass(frozen=True, slots=True)
class UserEvent(SessionEvent):
    """Base of the events about one person in a call."""

    user_id: int


@dataclass(frozen=True, slots=True)
class LocalStreamReceived(Event):
    """Local media is ready."""

    stream: LocalStream


@dataclass(frozen=True, slots=True)
class RemoteStreamReceived(UserEvent):
    """A person's media arrived, or tracks were added to it: the same stream object each time."""

    stream: RemoteStream


@dataclass(frozen=True, slots=True)
class RemoteStreamRemoved(UserEvent):
    """A person's media ended."""

    stream: RemoteStream


@dataclass(frozen=True, slots=True)
class UserNoAnswer(UserEvent):
    """A person did not answer in time."""


@dataclass(frozen=True, slots=True)
class CallAcceptedByUser(UserEvent):
    """A person accepted."""

    user_info: UserInfo


@dataclass(frozen=True, slots=True)
class CallRejectedByUser(UserEvent):
    """A person declined; ``user_info["busy"] == "true"`` if busy."""

    user_info: UserInfo


@dataclass(frozen=True, slots=True)
class ReceiveHungUpFromUser(UserEvent):
    """A person left, or the caller cancelled."""

    user_info: UserInfo


@dataclass(frozen=True, slots=True)
class ConnectingToUser(UserEvent):
    """A media path to a person is being looked for."""


@dataclass(frozen=True, slots=True)
class ConnectedToUser(UserEvent):
    """Media flows between us and a person."""


@dataclass(frozen=True, slots=True)
class DisconnectedFromUser(UserEvent):
    """The media path was lost; it may come back."""


@dataclass(frozen=True, slots=True)
class ConnectionFailedWithUser(UserEvent):
    """No media path was found."""


@dataclass(frozen=True, slots=True)
class ConnectionClosedForUser(UserEvent):
    """The connection to a person is closed for good."""


@dataclass(frozen=True, slots=True)
class SessionClosed(SessionEvent):
    """The call is over; ``session.close_reason`` says why. The last event of a session."""


@dataclass(frozen=True, slots=True)
class ReceiveNewSession(SessionEvent):
    """Somebody calls."""


@dataclass(frozen=True, slots=True)
class InvalidEvent(Event):
    """Somebody hung up in a call that is over or was never known (then `session` is None)."""

    session: P2PSession | None
    user_id: int
    user_info: UserInfo


AnyEvent = TypeVar("AnyEvent", bound=Event)


class EventStream:
    """Events since its creation, to ``async for`` over; ends when its owner closes.

    Close it with `aclose` (or leave its ``async with``) when breaking off early.
    """

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub
        self._queue: deque[Event] = deque()
        self._wakeup = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._wakeup.clear()
            await self._wakeup.wait()
        return self._queue.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop; unread events are dropped."""
        self._queue.clear()
        self._hub.forget(self)

    def push(self, event: Event) -> None:
        if len(self._queue) >= QUEUE_LIMIT:
            lost = self._queue.popleft()
            _logger.warning("events are read too slowly: dropped %s", type(lost).__name__)
        self._queue.append(event)
        self._wakeup.set()

    def end(self) -> None:
        self._ended = True
        self._wakeup.set()


class EventHub:
    """Hands the events of one session or client to everybody who reads them."""

    def __init__(self, *, history: int = 0) -> None:
        self._streams: set[EventStream] = set()
        self._history: deque[Event] = deque(maxlen=history)
        self._closed = False

    def publish(self, event: Event) -> None:
        """Add an event to every stream."""
        self._history.append(event)
        for stream in self._streams:
            stream.push(event)

    def stream(self) -> EventStream:
        """A new stream; it has ended already if the hub is closed."""
        stream = EventStream(self)
        if self._closed:
            stream.end()
        else:
            self._streams.add(stream)
        return stream

    def forget(self, stream: EventStream) -> None:
        """Publish to this stream no longer, and end it."""
        self._streams.discard(stream)
        stream.end()

    async def wait_for(
        self, kinds: tuple[type[AnyEvent], ...], user_id: int | None, timeout: float | None
    ) -> AnyEvent:
        """The first event of these kinds, about this user if one is given: kept or yet to come.

        Raises `TimeoutError`, or `InvalidStateError` when the hub closes without such an event.
        """

        def wanted(event: Event) -> bool:
            about = user_id is None or getattr(event, "user_id", None) == user_id
            return isinstance(event, kinds) and about

        for event in self._history:
            if wanted(event):
                return cast(AnyEvent, event)
        async with asyncio.timeout(timeout), self.stream() as stream:
            async for event in stream:
                if wanted(event):
                    return cast(AnyEvent, event)
        names = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidStateError(f"closed without {names}")

    def close(self) -> None:
        """End every stream once it is read to its end."""
        self._closed = True
        for stream in self._streams:
            stream.end()
        self._streams.clear()
