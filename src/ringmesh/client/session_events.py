"""What a call tells its application: the part of `P2PSession` for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ringmesh.calls.effects import CallEvent, Notify
from ringmesh.client import events
from ringmesh.client.callbacks import CallbackRunner
from ringmesh.client.events import Event, EventHub, EventStream, UserEvent
from ringmesh.media.devices.model import MediaDevice
from ringmesh.media.quality import MediaDirection, Quality
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.signals import UserInfo

if TYPE_CHECKING:
    from ringmesh.client.session import P2PSession

AnyEvent = TypeVar("AnyEvent", bound=Event)
Result: TypeAlias = Awaitable[object] | None

HISTORY = 1000
"""Events of a call that `P2PSession.wait_for` can look back on."""


class RTCSessionStateCallback:
    """Connection events of each person in a call. Override what you need, with plain or coroutine
    methods, and give an instance to `P2PSession.set_session_callbacks_listener`."""

    def on_connecting_to_user(self, session: P2PSession, user_id: int) -> Result:
        """A media path is being looked for."""

    def on_connected_to_user(self, session: P2PSession, user_id: int) -> Result:
        """Media flows."""

    def on_disconnected_from_user(self, session: P2PSession, user_id: int) -> Result:
        """The media path was lost; it may come back."""

    def on_connection_failed_with_user(self, session: P2PSession, user_id: int) -> Result:
        """No media path was found."""

    def on_connection_closed_for_user(self, session: P2PSession, user_id: int) -> Result:
        """The connection is closed for good."""


class SessionEvents:
    """Events of a call, told to callbacks, to a listener and as a stream, all the same.

    Each callback is an attribute: a plain function, a coroutine function, or None. Set them before
    `start_call`, or inside `on_receive_new_session`. What a callback raises is logged and does not
    hurt the call.

    Attributes:
        on_local_stream_received: called with (stream).
        on_remote_stream_received: called with (session, user_id, stream).
        on_remote_stream_removed: called with (session, user_id, stream).
        on_user_ringing: called with (session, user_id) when a device of theirs rings. Ringmesh
            clients tell; towards others nobody knows more than that we are calling.
        on_user_no_answer: called with (session, user_id).
        on_call_accepted_by_user: called with (session, user_id, user_info).
        on_call_rejected_by_user: called with (session, user_id, user_info).
        on_receive_hung_up_from_user: called with (session, user_id, user_info).
        on_quality_changed: called with (session, user_id, direction, quality), see
            `QualityChanged`.
        on_recording_changed: called with (session, user_id, recording) when a person says that
            they record the call, or do no longer. Ringmesh clients do.
        on_screen_sharing_ended: called with (session, reason) when what we share is gone.
        on_device_lost: called with (session, device, fallback) when a camera, microphone or output
            in use vanishes; `fallback` is used instead, None if there is nothing else.
        on_device_restored: called with (session, device) when it is back, and used again.
        on_session_closed: called with (session), once.
    """

    def __init__(self, callbacks: CallbackRunner) -> None:
        self.on_local_stream_received: Callable[[LocalStream], object] | None = None
        self.on_remote_stream_received: Callable[[P2PSession, int, RemoteStream], object] | None = (
            None
        )
        self.on_remote_stream_removed: Callable[[P2PSession, int, RemoteStream], object] | None = (
            None
        )
        self.on_user_ringing: Callable[[P2PSession, int], object] | None = None
        self.on_user_no_answer: Callable[[P2PSession, int], object] | None = None
        self.on_call_accepted_by_user: Callable[[P2PSession, int, UserInfo], object] | None = None
        self.on_call_rejected_by_user: Callable[[P2PSession, int, UserInfo], object] | None = None
        self.on_receive_hung_up_from_user: Callable[[P2PSession, int, UserInfo], object] | None = (
            None
        )
        self.on_quality_changed: (
            Callable[[P2PSession, int, MediaDirection, Quality], object] | None
        ) = None
        self.on_recording_changed: Callable[[P2PSession, int, bool], object] | None = None
        self.on_screen_sharing_ended: Callable[[P2PSession, str], object] | None = None
        self.on_device_lost: (
            Callable[[P2PSession, MediaDevice, MediaDevice | None], object] | None
        ) = None
        self.on_device_restored: Callable[[P2PSession, MediaDevice], object] | None = None
        self.on_session_closed: Callable[[P2PSession], object] | None = None
        self._callbacks = callbacks
        self._listener: RTCSessionStateCallback | None = None
        self._hub = EventHub(history=HISTORY)

    def set_session_callbacks_listener(self, listener: RTCSessionStateCallback) -> None:
        """Tell this object the connection events; it replaces the one before."""
        self._listener = listener

    def remove_session_callbacks_listener(self) -> None:
        """Tell the connection events to nobody."""
        self._listener = None

    def events(self) -> EventStream:
        """Events of this call from now on; ends when the call is over."""
        return self._hub.subscribe()

    async def wait_for(
        self,
        *kinds: type[AnyEvent],
        user_id: int | None = None,
        timeout: float | None = None,
    ) -> AnyEvent:
        """The first event of these kinds in this call, whether it came already or is yet to come.

        Raises `TimeoutError` after `timeout` seconds and `InvalidStateError` when the call ended
        without such an event.
        """
        return await self._hub.wait_for(kinds, user_id, timeout)

    def _publish(self, event: Event) -> None:
        self._hub.publish(event)
        callback = getattr(self, event.callback, None) or getattr(
            self._listener, event.callback, None
        )
        self._callbacks.run(callback, *event.arguments())

    def _end_events(self) -> None:
        self._hub.close()


def event_of(session: P2PSession, notice: Notify) -> UserEvent | None:
    """The event that tells this; None for what no event tells."""
    if notice.user_id is None:
        return None
    if (plain := _EVENTS.get(notice.event)) is not None:
        return plain(session, notice.user_id)
    if (informed := _EVENTS_WITH_INFO.get(notice.event)) is not None:
        return informed(session, notice.user_id, notice.user_info)
    if notice.event is CallEvent.RECORDING_CHANGED:
        recording = notice.detail["recording"] == "on"
        return events.RecordingChanged(session, notice.user_id, recording)
    return None


_EVENTS = {
    CallEvent.USER_RINGING: events.UserRinging,
    CallEvent.USER_NO_ANSWER: events.UserNoAnswer,
    CallEvent.CONNECTING_TO_USER: events.ConnectingToUser,
    CallEvent.CONNECTED_TO_USER: events.ConnectedToUser,
    CallEvent.DISCONNECTED_FROM_USER: events.DisconnectedFromUser,
    CallEvent.CONNECTION_FAILED_WITH_USER: events.ConnectionFailedWithUser,
    CallEvent.CONNECTION_CLOSED_FOR_USER: events.ConnectionClosedForUser,
}
_EVENTS_WITH_INFO = {
    CallEvent.CALL_ACCEPTED_BY_USER: events.CallAcceptedByUser,
    CallEvent.CALL_REJECTED_BY_USER: events.CallRejectedByUser,
    CallEvent.RECEIVE_HUNG_UP_FROM_USER: events.ReceiveHungUpFromUser,
}
