"""Push notifications of all applications: what REST, the chat and the command line see of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ringmesh.errors import RequestError
from ringmesh.server.accounts.models import User
from ringmesh.server.push import events
from ringmesh.server.push.contract import Channel, Environment, Kind, Message, Subscription
from ringmesh.server.push.input import (
    MAX_RECIPIENTS,
    EventInput,
    SubscriptionInput,
)
from ringmesh.server.push.limiter import EventLimiter
from ringmesh.server.push.messages import read_message
from ringmesh.server.push.metrics import PushMetrics
from ringmesh.server.push.outbox import Outbox
from ringmesh.server.push.records import Event, LogEntry, MissedCall
from ringmesh.server.push.ringing import RingingCall, Rings
from ringmesh.server.push.senders import Senders
from ringmesh.server.push.tickets import Tickets
from ringmesh.server.settings import Settings
from ringmesh.server.store.push import PushStore

MAX_SUBSCRIPTIONS = 20
"""Of one user; the oldest make room."""

KEPT_SECONDS = 30 * 86_400
"""How long the log of pushes and missed calls are kept."""

_REMOVED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Posted:
    """An event that was accepted.

    Attributes:
        channels: on which it goes to somebody.
        pushes: how many there are of it.
    """

    id: int
    event: Event
    channels: tuple[Channel, ...]
    pushes: int


class PushService:
    """Subscriptions, events, the outbox and missed calls over one store, which it closes.

    Args:
        clock: seconds since 1970.
        ring_clock: seconds, the clock of `rings`.

    Attributes:
        rings: who is being called; the chat's signals go there.
    """

    def __init__(
        self,
        store: PushStore,
        data_dir: Path,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        ring_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metrics = PushMetrics()
        self.rings = Rings(settings.ring_seconds)
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ring_clock = ring_clock
        url = settings.public_url
        subject = url if url is not None and url.startswith("https:") else None
        self._senders = Senders(data_dir, subject)
        self._outbox = Outbox(store, self._senders.sender, self.metrics, clock)
        self._limiter = EventLimiter(settings.push_events_per_minute)

    async def start(self) -> None:
        """Read the keys and begin to send.

        Raises:
            ConfigurationError: the keys cannot be used.
        """
        await self._senders.load()
        await self._outbox.start()

    async def close(self) -> None:
        """Finish what is being sent; the rest stays in the outbox."""
        await self._outbox.close(self._settings.shutdown_timeout_seconds)
        await self._senders.close()
        await self._store.close()

    async def keep_house(self) -> None:
        """Notice new keys, forget what is old."""
        await self._senders.refresh()
        await self._store.remove_old(int(self._clock()) - KEPT_SECONDS, _REMOVED_AT_ONCE)

    def web_key(self, application_id: int) -> str | None:
        """``applicationServerKey`` for browsers that subscribe."""
        return self._senders.web_key(application_id)

    def tickets(self, application_id: int) -> Tickets | None:
        """What checks the tickets that browsers got with their pushes."""
        return self._senders.tickets(application_id)

    # Subscriptions

    async def subscribe(self, user: User, request: SubscriptionInput) -> Subscription:
        """Add a subscription, or replace that of the same device and channel.

        Raises:
            RequestError: 422 naming what is missing or wrong.
        """
        allowed = self._senders.allowed_hosts(user.application_id)
        new = request.subscription(user.application_id, user.id, allowed)
        number = await self._store.save_subscription(new, int(self._clock()), MAX_SUBSCRIPTIONS)
        return replace(new, id=number)

    async def subscriptions(self, user: User) -> list[Subscription]:
        """The user's own."""
        return await self._store.subscriptions_of(user.id)

    async def unsubscribe(self, user: User, subscription_id: int) -> None:
        """Remove one of the user's own.

        Raises:
            RequestError: 404, there is no such subscription of theirs.
        """
        if not await self._store.remove_subscription(user.id, subscription_id):
            raise RequestError(404, {"base": ["There is no such subscription of yours"]})

    # Events

    async def post(self, user: User, request: EventInput) -> Posted:
        """Take an event: once this returns it is in the outbox.

        Raises:
            RequestError: 422 naming what is missing or wrong, 429 too many.
        """
        if not self._limiter.hit(user.id, self._ring_clock()):
            raise RequestError(429, {"base": ["Too many events, try again in a minute"]})
        message = read_message(request.message, request.push_type)
        callee_ids = await self._recipients(user.application_id, request)
        kind, tag = events.kind_of(message)
        now = self._clock()
        if kind is Kind.START and tag is not None:
            callee_ids = self._still_ringing(user, tag, callee_ids)
        if kind is Kind.CANCEL and tag is not None:
            app = user.application_id
            await self._store.withdraw_start(app, user.id, tag, callee_ids, int(now * 1000))
        event = Event(
            application_id=user.application_id,
            user_id=user.id,
            message=message,
            kind=kind,
            tag=tag,
            created_ms=int(now * 1000),
            expires_at=events.expiry(message, kind, int(now), self._settings.ring_seconds),
        )
        return await self._add(event, callee_ids, request.push_type, request.environment)

    async def _add(
        self,
        event: Event,
        user_ids: Sequence[int],
        channel: Channel | None = None,
        environment: Environment | None = None,
        devices: Collection[str] | None = None,
    ) -> Posted:
        channels: set[Channel] = set()

        def choose(found: list[Subscription]) -> list[Subscription]:
            if devices is not None:
                found = [one for one in found if one.udid in devices]
            chosen = events.recipients(event.message, event.kind, channel, found)
            channels.update(one.channel for one in chosen)
            return chosen

        with self._outbox.room(event.kind) as room:
            added = await self._store.add_event(event, user_ids, environment, choose, room)
            self._outbox.added(event.kind, added)
        self.metrics.accepted += added.pushes
        return Posted(added.event_id, event, tuple(sorted(channels)), added.pushes)

    async def _recipients(self, application_id: int, request: EventInput) -> list[int]:
        found: list[int] = []
        asked = False
        if request.user is not None:
            asked = request.user.ids is not None
            found += request.user.ids or ()
            tags = request.user.tags
            if tags is not None and (tags.any or tags.all):
                asked = True
                found += await self._store.users_by_tags(
                    application_id, tags.any, tags.all, tags.exclude, MAX_RECIPIENTS + 1
                )
        if request.external_user is not None and request.external_user.ids is not None:
            asked = True
            ids = request.external_user.ids
            found += await self._store.users_by_external_ids(application_id, ids)
        if not asked:
            text = "must say who: ids, or tags with any or all; or external_user with ids"
            raise RequestError(422, {"user": [text]})
        unique = list(dict.fromkeys(found))
        if len(unique) > MAX_RECIPIENTS:
            text = f"are more than {MAX_RECIPIENTS}: send several events"
            raise RequestError(422, {"user": [text]})
        return unique

    def _still_ringing(self, caller: User, tag: str, callee_ids: Iterable[int]) -> list[int]:
        """Those whose ring has not ended yet, and note that their devices ring by push."""
        now = self._ring_clock()
        app = caller.application_id
        left = [
            callee
            for callee in callee_ids
            if not self.rings.is_over((app, tag, caller.id, callee), now)
        ]
        self.rings.posted(app, tag, caller.id, left, now)
        return left

    # Rings of the server's own

    async def start_ring(self, call: RingingCall, message: Message) -> None:
        """Let a callee's devices ring, each once for a call."""
        await self._add(self._ring_event(call, message, Kind.START), [call.callee_id])

    async def end_ring(
        self,
        call: RingingCall,
        message: Message,
        choose: Callable[[list[Subscription]], list[Subscription]],
    ) -> None:
        """Send no more starts of a ring, and a cancel to those of the devices that `choose` picks
        of the ones that may have got one.

        iPhones that rang by VoIP push have no cancel of that form; an ordinary subscription of
        the same device gets it.
        """
        event = self._ring_event(call, message, Kind.CANCEL)
        now_ms = event.created_ms
        rang = await self._store.withdraw_start(
            call.application_id, call.caller_id, call.session_id, [call.callee_id], now_ms
        )
        devices = {one.udid for one in choose(rang)}
        if devices:
            await self._add(event, [call.callee_id], devices=devices)

    def _ring_event(self, call: RingingCall, message: Message, kind: Kind) -> Event:
        now = self._clock()
        return Event(
            application_id=call.application_id,
            user_id=call.caller_id,
            message=message,
            kind=kind,
            tag=call.session_id,
            created_ms=int(now * 1000),
            expires_at=int(now) + self._settings.ring_seconds,
            by_server=True,
        )

    async def log(self, application_id: int | None, limit: int) -> list[LogEntry]:
        """What became of the newest pushes, the newest first."""
        return await self._store.log(application_id, limit)

    # Missed calls

    async def missed(self, call: RingingCall, rang_seconds: float) -> None:
        """Keep a missed call."""
        await self._store.add_missed_call(
            MissedCall(
                application_id=call.application_id,
                user_id=call.callee_id,
                session_id=call.session_id,
                caller_id=call.caller_id,
                call_type=call.call_type,
                opponents_ids=call.opponents_ids,
                called_at=int(self._clock() - rang_seconds),
                rang_seconds=round(rang_seconds),
            )
        )

    async def missed_calls(self, user: User, limit: int, before_id: int | None) -> list[MissedCall]:
        """The user's missed calls, the newest first."""
        return await self._store.missed_calls(user.id, limit, before_id)
