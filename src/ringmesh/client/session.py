"""One call, as the application sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, TypeVar

from ringmesh.client.events import Event, EventStream
from ringmesh.ice import IceConnectionState
from ringmesh.media.stats import PeerStats
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.signals import CallType, UserInfo

AnyEvent = TypeVar("AnyEvent", bound=Event)
Result: TypeAlias = Awaitable[object] | None


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


class P2PSession:
    """A call with one to three opponents, made by `P2PClient`.

    Each callback is an attribute: a plain function, a coroutine function, or None. Set them before
    `start_call`, or inside `on_receive_new_session`. What a callback raises is logged and does not
    hurt the call. `events` and `wait_for` tell the same.

    Attributes:
        on_local_stream_received: called with (stream).
        on_remote_stream_received: called with (session, user_id, stream).
        on_remote_stream_removed: called with (session, user_id, stream).
        on_user_no_answer: called with (session, user_id).
        on_call_accepted_by_user: called with (session, user_id, user_info).
        on_call_rejected_by_user: called with (session, user_id, user_info).
        on_receive_hung_up_from_user: called with (session, user_id, user_info).
        on_session_closed: called with (session), once.
    """

    on_local_stream_received: Callable[[LocalStream], object] | None
    on_remote_stream_received: Callable[[P2PSession, int, RemoteStream], object] | None
    on_remote_stream_removed: Callable[[P2PSession, int, RemoteStream], object] | None
    on_user_no_answer: Callable[[P2PSession, int], object] | None
    on_call_accepted_by_user: Callable[[P2PSession, int, UserInfo], object] | None
    on_call_rejected_by_user: Callable[[P2PSession, int, UserInfo], object] | None
    on_receive_hung_up_from_user: Callable[[P2PSession, int, UserInfo], object] | None
    on_session_closed: Callable[[P2PSession], object] | None

    @property
    def session_id(self) -> str:
        """The call's id, the same for everybody in it."""
        raise NotImplementedError

    @property
    def call_type(self) -> CallType:
        """Audio or video."""
        raise NotImplementedError

    @property
    def caller_id(self) -> int:
        """Who started the call."""
        raise NotImplementedError

    @property
    def opponents_ids(self) -> tuple[int, ...]:
        """Who was called, in the caller's order, without the caller."""
        raise NotImplementedError

    @property
    def current_user_id(self) -> int:
        """Our own id."""
        raise NotImplementedError

    @property
    def close_reason(self) -> str | None:
        """Why the call ended; None while it has not."""
        raise NotImplementedError

    @property
    def user_info(self) -> UserInfo:
        """What the caller told us with an incoming call."""
        raise NotImplementedError

    @property
    def local_stream(self) -> LocalStream | None:
        """What we send."""
        raise NotImplementedError

    @property
    def remote_streams(self) -> Mapping[int, RemoteStream]:
        """What the others send, by user id."""
        raise NotImplementedError

    def connection_state_for_user(self, user_id: int) -> IceConnectionState:
        """The state of the media path to a person."""
        raise NotImplementedError

    async def start_call(self, user_info: UserInfo | None = None) -> None:
        """Ring the opponents. Returns when everything to be sent has been handed to the chat.

        Sends black pictures and silence unless local media was set before.
        Raises `InvalidStateError` when it was started already.
        """
        raise NotImplementedError

    async def accept_call(self, user_info: UserInfo | None = None) -> None:
        """Answer an incoming call. Raises `InvalidStateError` when it is not ringing any more."""
        raise NotImplementedError

    async def reject(self, user_info: UserInfo | None = None) -> None:
        """Decline an incoming call. Raises `InvalidStateError` when it is not ringing any more."""
        raise NotImplementedError

    async def hang_up(self, user_info: UserInfo | None = None) -> None:
        """Leave the call, or cancel it. A call that is over stays over."""
        raise NotImplementedError

    hung_up = hang_up

    async def init_local_media_stream(self, stream: LocalStream | None = None) -> LocalStream:
        """Decide what is sent, before the call; None makes a blank stream that the call closes.

        A stream given here is yours: the call never closes it.
        """
        raise NotImplementedError

    async def replace_media_stream(self, stream: LocalStream) -> None:
        """Send another stream from now on, to everybody."""
        raise NotImplementedError

    def set_microphone_mute(self, mute: bool) -> None:
        """Send silence, or sound again."""
        raise NotImplementedError

    def set_video_enabled(self, enabled: bool) -> None:
        """Send pictures, or black ones."""
        raise NotImplementedError

    async def set_max_bandwidth(self, kbps: int) -> None:
        """Limit what each of our video senders uses, in kbit/s; 0 removes the limit."""
        raise NotImplementedError

    def can_initiate_ice_restart(self, user_id: int) -> bool:
        """Whether it is this side that may restart ICE towards a person."""
        raise NotImplementedError

    async def ice_restart(self, user_id: int) -> None:
        """Look for a new media path. Raises `InvalidStateError` if the other side has to do it."""
        raise NotImplementedError

    async def get_stats(self, user_id: int) -> PeerStats:
        """A snapshot of the connection to a person. Raises `InvalidStateError` without one."""
        raise NotImplementedError

    def set_session_callbacks_listener(self, listener: RTCSessionStateCallback) -> None:
        """Tell this object the connection events; it replaces the one before."""
        raise NotImplementedError

    def remove_session_callbacks_listener(self) -> None:
        """Tell the connection events to nobody."""
        raise NotImplementedError

    def events(self) -> EventStream:
        """Events of this call from now on; ends when the call is over."""
        raise NotImplementedError

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
        raise NotImplementedError
