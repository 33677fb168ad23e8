"""Calls of a signed-in user: incoming and outgoing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from ringmesh.client.events import Event, EventStream
from ringmesh.client.session import P2PSession
from ringmesh.signals import CallType, UserInfo

AnyEvent = TypeVar("AnyEvent", bound=Event)


class P2PClient:
    """Makes and receives calls. Get it from `ringmesh.connect` as ``me.calls``.

    Attributes:
        on_receive_new_session: called with (session) when somebody calls.
        on_session_closed: called with (session) when any call is over.
        on_invalid_event: called with (session or None, user_id, user_info) when somebody hangs up
            in a call that is over or unknown.
    """

    on_receive_new_session: Callable[[P2PSession], object] | None
    on_session_closed: Callable[[P2PSession], object] | None
    on_invalid_event: Callable[[P2PSession | None, int, UserInfo], object] | None

    @property
    def sessions(self) -> Mapping[str, P2PSession]:
        """Calls by id: the running ones and those that ended until `clear_session`."""
        raise NotImplementedError

    def create_call_session(
        self,
        call_type: CallType,
        opponents_ids: Iterable[int],
        *,
        max_bandwidth: int = 0,
    ) -> P2PSession:
        """A new call that rings nobody yet.

        Raises `ConfigurationError` unless there are one to three opponents besides us.
        """
        raise NotImplementedError

    async def reject_call(
        self,
        session_id: str,
        call_members: Iterable[int],
        user_info: UserInfo | None = None,
    ) -> None:
        """Decline a call over REST, without its session object, towards each of these members."""
        raise NotImplementedError

    def clear_session(self, session_id: str) -> None:
        """Forget a call that is over. Raises `InvalidStateError` while it runs."""
        raise NotImplementedError

    def events(self) -> EventStream:
        """`ReceiveNewSession`, `SessionClosed` and `InvalidEvent` from now on."""
        raise NotImplementedError

    async def wait_for(self, *kinds: type[AnyEvent], timeout: float | None = None) -> AnyEvent:
        """The next event of these kinds. Raises `TimeoutError` after `timeout` seconds and
        `InvalidStateError` when the client is closed."""
        raise NotImplementedError
