"""Calls of a signed-in user: incoming and outgoing."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TypeVar

from ringmesh.calls.book import CallBook, CallEffects
from ringmesh.calls.effects import CallEvent, Effect, Ignored, Notify, Send
from ringmesh.calls.machine import CallMachine
from ringmesh.client import events
from ringmesh.client.callbacks import CallbackRunner
from ringmesh.client.chat_connection import CubeChatConnection
from ringmesh.client.config import RTCConfig, RTCMediaConfig, check_bandwidth
from ringmesh.client.events import Event, EventHub, EventStream
from ringmesh.client.ice_servers import IceServerCache
from ringmesh.client.models import MissedCall
from ringmesh.client.peers import PeerSettings
from ringmesh.client.rest import RestClient
from ringmesh.client.session import P2PSession, SessionServices
from ringmesh.client.user_info import announced_bandwidth, check_user_info
from ringmesh.errors import ConfigurationError, InvalidStateError
from ringmesh.ice import IceServer
from ringmesh.media.devices.camera import CameraFormat
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind
from ringmesh.media.devices.monitor import DeviceMonitor
from ringmesh.media.engine import Engine
from ringmesh.media.wrtc_engine import WrtcEngine
from ringmesh.signals import CallType, HangUp, Signal, UserInfo

_logger = logging.getLogger(__name__)

AnyEvent = TypeVar("AnyEvent", bound=Event)

MAX_ENDED = 100
"""Sessions that are over and still known; the oldest are forgotten."""

CLOSE_TIMEOUT = 5.0
"""Seconds that `P2PClient.close` waits for connections, and then for callbacks, to finish."""


class P2PClient:
    """Makes and receives calls. Get it from `ringmesh.connect` as ``me.calls``.

    Attributes:
        on_session_closed: called with (session) when any call is over.
        on_invalid_event: called with (session or None, user_id, user_info) when somebody hangs up
            in a call that is over or unknown.
        on_devices_changed: called without arguments when a camera, microphone or output was plugged
            in or out, or another one became the default. Told once `get_media_devices` was called
            or a device is in use.
    """

    def __init__(
        self,
        chat: CubeChatConnection,
        rest: RestClient,
        config: RTCConfig | None = None,
        media: RTCMediaConfig | None = None,
        *,
        engine: Engine | None = None,
    ) -> None:
        self._on_receive_new_session: Callable[[P2PSession], object] | None = None
        self._unheard: list[P2PSession] = []
        self.on_session_closed: Callable[[P2PSession], object] | None = None
        self.on_invalid_event: Callable[[P2PSession | None, int, UserInfo], object] | None = None
        self.on_devices_changed: Callable[[], object] | None = None
        self._devices = DeviceMonitor()
        self._devices.add_listener(lambda: self._tell(events.DevicesChanged()))
        self._chat = chat
        self._rest = rest
        self._config = config or RTCConfig()
        self._media = media or RTCMediaConfig()
        self._callbacks = CallbackRunner()
        self._hub = EventHub()
        self._hub_of_waits = EventHub()
        """For those who wait for something else than a call: they do not hear one ring."""
        self._services = SessionServices(
            peers=PeerSettings(
                engine=engine or WrtcEngine(),
                ice_servers=IceServerCache(self._fetch_ice_servers).get,
                relay_only=self._config.always_relay_calls,
            ),
            callbacks=self._callbacks,
            send=chat.send_signal,
            dial=self._dial,
            path_lost=chat.doubt,
            stepped=self._set_timer,
            closed=self._session_closed,
            devices=self._devices,
            camera=CameraFormat(
                width=self._media.min_width,
                height=self._media.min_height,
                frame_rate=self._media.min_frame_rate,
            ),
            stats_interval=self._config.stats_reports_interval / 1000,
        )
        self._book: CallBook | None = None
        self._sessions: OrderedDict[CallMachine, P2PSession] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to receive calls. The REST session must be a user's."""
        if self._rest.session is None or not self._rest.session.user_id:
            raise InvalidStateError("sign in as a user before calls are used")
        self._book = CallBook(self._rest.session.user_id, self._config.call_config())
        self._chat.on_signal = self.receive_signal
        self._chat.on_lost = self._chat_lost
        self._chat.on_restored = self._chat_restored
        self._chat.urgent = self._in_call
        await self._services.peers.ice_servers()

    async def close(self) -> None:
        """Hang up all calls and receive no more. Waits a few seconds for what is under way."""
        sessions = list(self._sessions.values())
        for session in sessions:
            await session.hang_up()
        self._chat.on_signal = self._chat.on_lost = self._chat.on_restored = None
        self._book = None
        self._set_timer()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await asyncio.gather(*(session.wait_peers_closed() for session in sessions))
        await self._devices.aclose()
        await self._callbacks.aclose(CLOSE_TIMEOUT)
        self._hub.close()
        self._hub_of_waits.close()

    @property
    def on_receive_new_session(self) -> Callable[[P2PSession], object] | None:
        """Called with (session) when somebody calls. A call that began to ring before anybody
        listened, by this or by events, is told to whoever listens first."""
        return self._on_receive_new_session

    @on_receive_new_session.setter
    def on_receive_new_session(self, callback: Callable[[P2PSession], object] | None) -> None:
        self._on_receive_new_session = callback
        if callback is not None:
            self._catch_up_soon()

    @property
    def sessions(self) -> Mapping[str, P2PSession]:
        """Calls by id: those under way and the last hundred that ended."""
        return MappingProxyType({item.session_id: item for item in self._sessions.values()})

    def create_call_session(
        self,
        call_type: CallType,
        opponents_ids: Iterable[int],
        *,
        max_bandwidth: int | None = None,
    ) -> P2PSession:
        """A new call that rings nobody yet.

        Args:
            max_bandwidth: kbit/s for each video sender of every participant, 0 for no limit;
                None takes `RTCMediaConfig.max_bandwidth`.

        Raises `ConfigurationError` unless there are one to three opponents besides us.
        """
        limit = self._media.max_bandwidth if max_bandwidth is None else max_bandwidth
        check_bandwidth(limit)
        opponents = tuple(opponents_ids)
        if not isinstance(call_type, CallType):
            raise ConfigurationError(f"call_type must be a CallType, not {call_type!r}")
        if not all(isinstance(user_id, int) for user_id in opponents):
            raise ConfigurationError(f"opponents_ids must be user ids, not {opponents}")
        call = self._require_book().create_call(str(uuid.uuid4()), call_type, opponents)
        return self._add_session(P2PSession(call, self._services, max_bandwidth=limit), call)

    async def reject_call(
        self,
        session_id: str,
        call_members: Iterable[int],
        user_info: UserInfo | None = None,
    ) -> None:
        """Decline a call over REST, without its session object, towards each of these members."""
        info = check_user_info(user_info)
        for user_id in call_members:
            await self._rest.reject_call(session_id, user_id, info)

    async def missed_calls(self, limit: int = 20, before: int | None = None) -> list[MissedCall]:
        """Calls that none of our devices answered or declined, the newest first.

        Args:
            limit: at most 100.
            before: `MissedCall.id` of the last one of the page before.
        """
        return await self._rest.missed_calls(limit, before)

    def clear_session(self, session_id: str) -> None:
        """Forget a call that is over. Raises `InvalidStateError` while it is under way."""
        for call, session in list(self._sessions.items()):
            if session.session_id == session_id:
                if session.close_reason is None:
                    raise InvalidStateError("the call is not over")
                del self._sessions[call]

    async def get_media_devices(self, kind: MediaDeviceKind | None = None) -> list[MediaDevice]:
        """The cameras, microphones and outputs of this machine, or those of one kind.

        From the first call on, `on_devices_changed` tells of changes.
        """
        if kind is not None and not isinstance(kind, MediaDeviceKind):
            raise ConfigurationError(f"kind must be a MediaDeviceKind, not {kind!r:.100}")
        devices = await self._devices.list()
        return [device for device in devices if kind in (None, device.kind)]

    def events(self) -> EventStream:
        """`ReceiveNewSession`, `SessionClosed`, `InvalidEvent` and `DevicesChanged` from now on."""
        self._catch_up_soon()
        return self._hub.subscribe()

    async def wait_for(self, *kinds: type[AnyEvent], timeout: float | None = None) -> AnyEvent:
        """The next event of these kinds. Raises `TimeoutError` after `timeout` seconds and
        `InvalidStateError` when the client is closed."""
        if not issubclass(events.ReceiveNewSession, kinds):
            return await self._hub_of_waits.wait_for(kinds, None, timeout)
        self._catch_up_soon()
        return await self._hub.wait_for(kinds, None, timeout)

    def receive_signal(self, user_id: int, signal: Signal, device: str = "") -> None:
        """Take a signal of this user and device that came to us in another way than by the chat,
        for instance to another process of ours. One that comes twice does no harm."""
        if self._book is not None:
            self._perform(self._book.receive(signal, user_id, self._now(), device))

    def network_changed(self, *, moved: bool) -> None:
        """The network changed; `moved`: we have another address. Looks for lost paths at once.

        `ringmesh.connect` calls this by itself.
        """
        self._chat.network_changed()
        if self._book is not None:
            now = self._now()
            self._perform(
                self._book.network_changed(now) if moved else self._book.network_is_back(now)
            )

    def _in_call(self) -> bool:
        return self._book is not None and any(
            call.end_reason is None for call in self._book.calls.values()
        )

    def _chat_lost(self) -> None:
        if self._book is not None:
            self._book.chat_is_lost()
            self._set_timer()

    def _chat_restored(self) -> None:
        if self._book is not None:
            self._perform(self._book.network_is_back(self._now()))

    def _dial(self, call: CallMachine, user_info: UserInfo) -> None:
        self._perform(self._require_book().dial(call, self._now(), user_info))

    def _tick(self) -> None:
        if self._book is not None:
            self._perform(self._book.tick(self._now()))

    def _perform(self, steps: Sequence[CallEffects]) -> None:
        for step in steps:
            if step.call is None:
                self._perform_without_session(step.effects)
            else:
                self._session_of(step.call, step.effects).perform(step.effects)
        self._set_timer()

    def _perform_without_session(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(user_id, signal, device):
                    self._chat.send_signal(user_id, signal, device)
                case Ignored(user_id, signal, reason):
                    _logger.info(
                        "ignored %s from user %d: %s",
                        type(signal).__name__,
                        user_id,
                        reason.value,
                    )
                    if isinstance(signal, HangUp):
                        known = self.sessions.get(signal.session_id)
                        self._tell(events.InvalidEvent(known, user_id, signal.user_info))
                case _:
                    raise AssertionError(f"{effect} without a call")

    def _session_of(self, call: CallMachine, effects: Sequence[Effect]) -> P2PSession:
        """The session of a call; one that has just begun to ring is made and announced."""
        session = self._sessions.get(call)
        if session is None:
            info = _announcement(effects)
            session = P2PSession(
                call, self._services, user_info=info, max_bandwidth=self._limit(info)
            )
            self._add_session(session, call)
            ringing = [one for one in self._unheard if one.close_reason is None]
            self._unheard = [*ringing, session]
            if self._on_receive_new_session is not None or self._hub.has_subscriptions:
                self._catch_up()
        return session

    def _catch_up_soon(self) -> None:
        """Once the caller listens."""
        if self._unheard:
            asyncio.get_running_loop().call_soon(self._catch_up)

    def _catch_up(self) -> None:
        """Tell of the calls that ring and that nobody was told of."""
        unheard, self._unheard = self._unheard, []
        for session in unheard:
            if session.close_reason is None:
                self._tell(events.ReceiveNewSession(session))

    def _limit(self, info: UserInfo) -> int:
        """What our video senders may use in an incoming call: the smaller one of two limits."""
        limits = (announced_bandwidth(info), self._media.max_bandwidth)
        return min((limit for limit in limits if limit), default=0)

    def _add_session(self, session: P2PSession, call: CallMachine) -> P2PSession:
        self._sessions[call] = session
        ended = [key for key, item in self._sessions.items() if item.close_reason is not None]
        for key in ended[: max(0, len(ended) - MAX_ENDED)]:
            del self._sessions[key]
        return session

    def _session_closed(self, session: P2PSession) -> None:
        self._tell(events.SessionClosed(session))

    def _tell(self, event: Event) -> None:
        self._hub.publish(event)
        self._hub_of_waits.publish(event)
        self._callbacks.run(getattr(self, event.callback), *event.arguments())

    def _set_timer(self) -> None:
        """Be woken when the next thing in any call is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._book.deadline() if self._book is not None else None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    async def _fetch_ice_servers(self) -> Sequence[IceServer]:
        if self._config.ice_servers is not None:
            return self._config.ice_servers
        return await self._rest.ice_servers()

    def _require_book(self) -> CallBook:
        if self._book is None:
            raise InvalidStateError("calls have not been started, or were closed")
        return self._book

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _announcement(effects: Sequence[Effect]) -> UserInfo:
    """What the caller told with a call that has just begun to ring."""
    for effect in effects:
        if isinstance(effect, Notify) and effect.event is CallEvent.RECEIVE_NEW_SESSION:
            return effect.user_info
    return {}
