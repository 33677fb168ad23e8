"""The outbox: takes pushes from the store, has them sent, and notes what came of it.

Each channel has two lanes, so that a provider who does not answer holds up nobody else's pushes,
and a message for thousands holds up no call: what is about calls has a lane of its own, and the
other one pauses after each push, since all of it is work for the loop that carries the signals too.
A push is claimed before it is sent and noted after; what is claimed when the process dies is sent
again, since nobody knows whether it got out. Nothing else is ever sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import structlog

from ringmesh.server.push.contract import Channel, Kind, Outcome, Sender, Status
from ringmesh.server.push.metrics import PushMetrics
from ringmesh.server.push.records import Added, Claimed, Note, State
from ringmesh.server.store.push import PushStore

IN_FLIGHT = 48
"""Pushes that one lane sends at once."""

PAUSE_SECONDS = 0.004
"""How long a lane for what is not about calls leaves the loop to others, after each push."""

SEND_SECONDS = 15.0
SHORTEST_RETRY_SECONDS = 0.5
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0

_IDLE_SECONDS = 5.0
_TROUBLE_SECONDS = 1.0
_NOTES = 200
_GATHER_SECONDS = 0.01
_PLACES = 4
_CANCEL_SECONDS = 60.0
_STATES = {
    Status.DELIVERED: State.DELIVERED,
    Status.DEAD_TOKEN: State.DEAD_TOKEN,
    Status.REJECTED: State.REJECTED,
    Status.NOT_CONFIGURED: State.NOT_CONFIGURED,
}

LaneKey: TypeAlias = tuple[Channel, bool]
"""A channel, and whether what is sent there is about calls."""

_Notes: TypeAlias = asyncio.Queue[tuple[Note, LaneKey | None]]
"""What came of an attempt, and the lane where a start was sent, so that a cancel may go."""

_logger = structlog.get_logger(__name__)
_stdlib_logger = logging.getLogger(__name__)


class Outbox:
    """Sends what is in the store, as long as it runs.

    Args:
        find_sender: the sender for an application and a channel, or None.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        store: PushStore,
        find_sender: Callable[[int, Channel], Sender | None],
        metrics: PushMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._notes: _Notes = asyncio.Queue(2 * len(Channel) * IN_FLIGHT)
        self._lanes = {
            key: _Lane(key, store, find_sender, self._notes, metrics, clock)
            for key in itertools.product(Channel, (True, False))
        }
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin, with what the last process left."""
        again = await self._store.recover()
        if again:
            _logger.warning("pushes are sent again after a crash", count=again)
        self._tasks = [
            asyncio.create_task(lane.run(), name=f"push {key[0]}")
            for key, lane in self._lanes.items()
        ]
        self._tasks.append(asyncio.create_task(self._keep_notes(), name="push notes"))
        self._tasks.append(asyncio.create_task(self._look_after(), name="push expiry"))

    @contextmanager
    def room(self, kind: Kind) -> Iterator[Mapping[Channel, int]]:
        """Places, by channel, for pushes that are claimed as soon as they are in the store. They
        are kept free inside of the context; `added` says there what became of it."""
        lanes = {c: self._lanes[c, kind is not Kind.OTHER] for c in Channel}
        room = {channel: lane.reserve(_PLACES) for channel, lane in lanes.items()}
        try:
            yield room
        finally:
            for channel, places in room.items():
                lanes[channel].release(places)

    def added(self, kind: Kind, added: Added) -> None:
        """An event is in the store: send what is claimed of it, see to the rest."""
        for claimed in added.claimed:
            self._lanes[claimed.push.subscription.channel, kind is not Kind.OTHER].send(claimed)
        for channel in added.waiting:
            self._lanes[channel, kind is not Kind.OTHER].wake(cancel=kind is Kind.CANCEL)

    async def close(self, seconds: float) -> None:
        """Claim no more, wait so long for what is being sent, note it. Idempotent."""
        if not self._tasks:
            return
        *lanes, noting, looking = self._tasks
        self._tasks = []
        looking.cancel()
        for lane in self._lanes.values():
            lane.stop()
        _, unfinished = await asyncio.wait(lanes, timeout=seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*lanes, looking, return_exceptions=True)
        if not noting.done():
            await self._notes.join()
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)

    async def _keep_notes(self) -> None:
        """Write notes together, as many as come in a moment."""
        while True:
            taken = [await self._notes.get()]
            await asyncio.sleep(_GATHER_SECONDS)
            while len(taken) < _NOTES and not self._notes.empty():
                taken.append(self._notes.get_nowait())
            await self._keep([note for note, _ in taken])
            for _ in taken:
                self._notes.task_done()
            for key in {key for _, key in taken if key is not None}:
                self._lanes[key].start_is_out()

    async def _keep(self, notes: list[Note]) -> None:
        try:
            await self._store.note(notes)
        except Exception:  # they stay claimed, until the next start
            _logger.exception("push outcomes could not be noted", count=len(notes))

    async def _look_after(self) -> None:
        """Give up what is too late, count what waits."""
        while True:
            try:
                expired = await self._store.expire(int(self._clock() * 1000))
                self._metrics.ended(State.EXPIRED, expired)
                self._metrics.queued = await self._store.queued()
            except Exception:
                _logger.exception("looking after the push outbox failed")
            await asyncio.sleep(_IDLE_SECONDS)


class _Lane:
    """Claims as much as it can send at once."""

    def __init__(
        self,
        key: LaneKey,
        store: PushStore,
        find_sender: Callable[[int, Channel], Sender | None],
        notes: _Notes,
        metrics: PushMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._key = key
        self._channel, about_calls = key
        self._turns = None if about_calls else asyncio.Lock()
        self._store = store
        self._find_sender = find_sender
        self._notes = notes
        self._metrics = metrics
        self._clock = clock
        self._news = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._more = False  # than were claimed
        self._reserved = 0
        self._retries: list[float] = []
        self._cancels_until = 0.0

    def reserve(self, most: int) -> int:
        """Keep some places free, if there are any and nobody else waits for them."""
        places = 0 if self._more or self._stopped else max(0, min(most, self._free))
        self._reserved += places
        return places

    def release(self, places: int) -> None:
        """They are needed no more."""
        self._reserved -= places
        if self._more:
            self._news.set()

    def send(self, claimed: Claimed) -> None:
        """Send what is claimed. When the server stops, the next one does."""
        if self._stopped:
            return
        task = asyncio.create_task(self._send(claimed), name=f"push {self._channel}")
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def wake(self, *, cancel: bool = False) -> None:
        """Look for work."""
        if cancel:
            self._cancels_until = self._clock() + _CANCEL_SECONDS
        self._news.set()

    def start_is_out(self) -> None:
        """A cancel may have waited for it."""
        if self._clock() < self._cancels_until:
            self._news.set()

    def stop(self) -> None:
        """Claim no more, and end when all is sent."""
        self._stopped = True
        self._news.set()

    async def run(self) -> None:
        """Claim and send until `stop`."""
        try:
            while not self._stopped:
                self._news.clear()
                try:
                    for claimed in await self._claim():
                        self.send(claimed)
                except Exception:
                    _logger.exception("claiming pushes failed", channel=self._channel)
                    await asyncio.sleep(_TROUBLE_SECONDS)
                await self._wait()
            if self._sending:
                await asyncio.wait(self._sending)
        finally:
            for task in self._sending:
                task.cancel()

    @property
    def _free(self) -> int:
        return IN_FLIGHT - len(self._sending) - self._reserved

    async def _claim(self) -> list[Claimed]:
        free = self._free
        self._more = free < IN_FLIGHT // 4  # not one by one: each time is a transaction
        if self._more:
            return []
        claimed = await self._store.claim(*self._key, self._now_ms(), free)
        self._more = len(claimed) == free
        return claimed

    async def _wait(self) -> None:
        """Until there is news, the next retry is due, or a while has passed."""
        now = self._clock()
        while self._retries and self._retries[0] <= now:
            heapq.heappop(self._retries)
        due = self._retries[0] - now if self._retries else _IDLE_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(due, _IDLE_SECONDS)):
                await self._news.wait()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._more:
            self._news.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("sending a push failed", channel=self._channel, exc_info=error)

    async def _send(self, claimed: Claimed) -> None:
        if self._turns is not None:
            async with self._turns:
                await asyncio.sleep(PAUSE_SECONDS)
        push = claimed.push
        sender = self._find_sender(push.subscription.application_id, self._channel)
        if push.expires_at <= self._clock():
            outcome = None
        elif sender is None:
            outcome = Outcome(Status.NOT_CONFIGURED, "see 'ringmesh push configure'")
        else:
            outcome = await _attempt(sender, claimed)
        note = self._note(claimed, outcome)
        if note.state is State.QUEUED:
            heapq.heappush(self._retries, note.due_ms / 1000)
            self._news.set()
        await self._notes.put((note, self._key if push.kind is Kind.START else None))
        if note.state is not State.QUEUED:
            self._metrics.ended(note.state, 1)
        if note.state is State.DELIVERED:
            self._metrics.seconds.observe(max(0.0, self._clock() - claimed.created_ms / 1000))
        if _stdlib_logger.isEnabledFor(logging.DEBUG):  # structlog takes 0.1 ms to find that out
            _logger.debug(
                "push", push=push.id, channel=self._channel, state=note.state, reason=note.reason,
                attempt=claimed.attempts, call=push.tag,
            )  # fmt: skip

    def _note(self, claimed: Claimed, outcome: Outcome | None) -> Note:
        push, now = claimed.push, self._clock()
        state, due, reason = State.EXPIRED, 0.0, ""
        dead_token = None
        if outcome is not None:
            reason = outcome.reason[:200]
            if outcome.status is Status.RETRY:
                due = now + delay(claimed.attempts, outcome.retry_after, random.random())
                state = State.QUEUED if due < push.expires_at else State.EXPIRED
            else:
                state = _STATES[outcome.status]
            if state is State.DEAD_TOKEN:
                dead_token = push.subscription.web_endpoint or push.subscription.token
        return Note(
            push_id=push.id,
            state=state,
            reason=reason,
            now_ms=int(now * 1000),
            due_ms=int(due * 1000),
            subscription_id=push.subscription.id,
            dead_token=dead_token,
        )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


async def _attempt(sender: Sender, claimed: Claimed) -> Outcome:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            return await sender.send(claimed.push)
    except TimeoutError:
        return Outcome(Status.RETRY, "no answer")
    except Exception as error:
        _logger.exception("a push sender broke", push=claimed.push.id)
        return Outcome(Status.RETRY, type(error).__name__)


def delay(attempts: int, asked: float | None, chance: float) -> float:
    """Seconds until the next attempt: what the provider asked for, or twice as long each time,
    with up to half of it left to chance (0 to 1)."""
    if asked is not None:
        return max(SHORTEST_RETRY_SECONDS, asked)
    full = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, 10))
    return full * (0.5 + chance / 2)
