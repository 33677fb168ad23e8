"""Everything that happens in a call, as values, and the hub that hands them out.

Each event belongs to the callback of the same name: `CallAcceptedByUser` is what
`on_call_accepted_by_user` is told. An event's fields are the callback's arguments, in order.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar, cast

from ringmesh.client.broadcast import Broadcast, Subscription
from ringmesh.errors import InvalidStateError
from ringmesh.media.devices.model import MediaDevice
from ringmesh.media.quality import MediaDirection, Quality
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.signals import UserInfo

if TYPE_CHECKING:
    from ringmesh.client.session import P2PSession


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
class UserRinging(UserEvent):
    """A device of a person rings. Told by Ringmesh clients only."""


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
class RecordingChanged(UserEvent):
    """A person says that they record the call, or do no longer."""

    recording: bool


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
class QualityChanged(UserEvent):
    """Sound and picture became better or worse in one direction, or for another cause.

    Told while `RTCConfig.stats_reports_interval` is not 0.
    """

    direction: MediaDirection
    quality: Quality


@dataclass(frozen=True, slots=True)
class ScreenSharingEnded(SessionEvent):
    """What we shared is gone, for instance its window was closed; the camera is sent again."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeviceLost(SessionEvent):
    """A camera, microphone or output in use vanished; `fallback` is used now, if there is one."""

    device: MediaDevice
    fallback: MediaDevice | None


@dataclass(frozen=True, slots=True)
class DeviceRestored(SessionEvent):
    """A device that had vanished is back and used again."""

    device: MediaDevice


@dataclass(frozen=True, slots=True)
class SessionClosed(SessionEvent):
    """The call is over; ``session.close_reason`` says why. The last event of a session."""


@dataclass(frozen=True, slots=True)
class ReceiveNewSession(SessionEvent):
    """Somebody calls."""


@dataclass(frozen=True, slots=True)
class DevicesChanged(Event):
    """A camera, microphone or output was plugged in or out, or another one became the default."""


@dataclass(frozen=True, slots=True)
class InvalidEvent(Event):
    """Somebody hung up in a call that is over or was never known (then `session` is None)."""

    session: P2PSession | None
    user_id: int
    user_info: UserInfo


AnyEvent = TypeVar("AnyEvent", bound=Event)


EventStream: TypeAlias = Subscription[Event]
"""Events since its creation, to ``async for`` over; ends when the session or client does."""


class EventHub(Broadcast[Event]):
    """Hands out the events of one session or client."""

    def __init__(self, *, history: int = 0) -> None:
        super().__init__()
        self._history: deque[Event] = deque(maxlen=history)

    def publish(self, value: Event) -> None:
        """Add an event to every stream, and to the history."""
        self._history.append(value)
        super().publish(value)

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
        async with asyncio.timeout(timeout), self.subscribe() as events:
            async for event in events:
                if wanted(event):
                    return cast(AnyEvent, event)
        names = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidStateError(f"closed without {names}")
