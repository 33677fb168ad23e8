"""Push subscriptions, the outbox and missed calls in the database. See `SqlStore`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from ringmesh.server.push.contract import (
    Channel,
    Environment,
    Kind,
    Message,
    Push,
    Subscription,
)
from ringmesh.server.push.records import Added, Claimed, Event, LogEntry, MissedCall, Note, State
from ringmesh.server.store.push_rows import (
    claimed_of,
    event_columns,
    first_state,
    log_entry_of,
    missed_call_of,
    push_columns,
    subscription_columns,
    subscription_of,
)
from ringmesh.server.store.push_statements import (
    ADD_CLAIMED,
    ADD_EVENT,
    ADD_PUSH,
    ALREADY,
    CLAIM,
    CLAIMED,
    DUE,
    GONE,
    NOTE,
    OF_USERS,
)
from ringmesh.server.store.push_writer import GroupWriter
from ringmesh.server.store.schema import events, missed_calls, pushes, subscriptions, users
from ringmesh.server.store.sql import WRITE

Choose: TypeAlias = Callable[[list[Subscription]], Sequence[Subscription]]
"""Which of some users' subscriptions get an event. Runs in a thread."""

_T = TypeVar("_T")
_BATCH = 500
_SLICE = 100
_READ_AT_ONCE = 25  # rows become values under the interpreter's lock, which is slow
_MAYBE_SHOWN = (State.CLAIMED, State.DELIVERED)


class PushStore:
    """Every method is one step of a transaction, run in a thread, and returns when that is
    committed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = GroupWriter(engine.execution_options(**{WRITE: True}))

    async def close(self) -> None:
        """Release the connections, after what is under way."""
        await self._writer.close()
        self._engine.dispose()

    # Subscriptions

    async def save_subscription(self, subscription: Subscription, now: int, most: int) -> int:
        """Add it, or replace the one of the same user, device and channel; its id.

        Whoever had its token before has it no longer. The user's oldest make room beyond `most`.
        """

        def save(connection: Connection) -> int:
            mine, others = _same_device(subscription), _same_token(subscription)
            connection.execute(delete(subscriptions).where(others, ~mine))
            values = {**subscription_columns(subscription), "created_at": now}
            changed = update(subscriptions).where(mine).values(values)
            row = connection.execute(changed.returning(subscriptions.c.id)).one_or_none()
            if row is None:
                added = insert(subscriptions).values(values).returning(subscriptions.c.id)
                row = connection.execute(added).one()
            newest = (
                select(subscriptions.c.id)
                .where(subscriptions.c.user_id == subscription.user_id)
                .order_by(subscriptions.c.created_at.desc(), subscriptions.c.id.desc())
            )
            crowd = newest.offset(most).limit(_BATCH)
            connection.execute(delete(subscriptions).where(subscriptions.c.id.in_(crowd)))
            return int(row.id)

        return await self._writer.write(save)

    async def subscriptions_of(self, user_id: int) -> list[Subscription]:
        """One user's, by ascending id."""
        found = select(subscriptions).where(subscriptions.c.user_id == user_id)
        rows = await self._read(found.order_by(subscriptions.c.id))
        return [subscription_of(row) for row in rows]

    async def remove_subscription(self, user_id: int, subscription_id: int) -> bool:
        """Remove a user's own; False when there was none."""
        mine = subscriptions.c.user_id == user_id
        removed = delete(subscriptions).where(subscriptions.c.id == subscription_id, mine)
        return await self._writer.write(lambda connection: connection.execute(removed).rowcount > 0)

    # Recipients

    async def users_by_external_ids(self, application_id: int, ids: Sequence[str]) -> list[int]:
        """Users with one of these as `User.external_id` or `User.external_user_id`."""
        found: list[int] = []
        for some in _batches(ids):
            numbers = [int(one) for one in some if one.isascii() and one.isdecimal()]
            numbers = [number for number in numbers if number < 2**63]
            is_one = or_(users.c.external_id.in_(some), users.c.external_user_id.in_(numbers))
            query = select(users.c.id).where(users.c.application_id == application_id, is_one)
            found += [row.id for row in await self._read(query)]
        return found

    async def users_by_tags(
        self,
        application_id: int,
        any_of: Collection[str],
        all_of: Collection[str],
        none_of: Collection[str],
        most: int,
    ) -> list[int]:
        """At most so many users whose tags are like this."""
        has = {tag: _has_tag(tag) for tag in {*any_of, *all_of, *none_of}}
        conditions = [has[tag] for tag in all_of]
        if any_of:
            conditions.append(or_(*(has[tag] for tag in any_of)))
        if none_of:
            none = or_(*(has[tag] for tag in none_of))
            conditions.append(or_(users.c.user_tags.is_(None), ~none))
        query = select(users.c.id).where(users.c.application_id == application_id, *conditions)
        return [row.id for row in await self._read(query.order_by(users.c.id).limit(most))]

    # The outbox

    async def add_event(
        self,
        event: Event,
        user_ids: Sequence[int],
        environment: Environment | None,
        choose: Choose,
        room: Mapping[Channel, int],
    ) -> Added:
        """Keep an event with a push for each subscription of these users that is chosen.

        One that starts or cancels a ring goes to each subscription once for each call.

        Args:
            choose: may raise: then nothing is kept.
            room: how many of a channel are claimed at once, by whoever asks.
        """

        if event.kind is Kind.OTHER and len(user_ids) > _SLICE:
            return await self._add_large_event(event, user_ids, environment, choose)

        def add(connection: Connection) -> Added:
            found = _subscriptions_of(connection, event.application_id, user_ids, environment)
            recipients = choose(found)
            number: int = connection.execute(ADD_EVENT, event_columns(event)).scalar_one()
            if event.tag and event.kind is not Kind.OTHER:
                known = _already(connection, event)
                recipients = [one for one in recipients if one.id not in known]
            now, later = _split(event, recipients, room)
            claimed = _add_claimed(connection, event, number, now)
            _add_waiting(event, number, later, connection)
            channels = frozenset(one.channel for one in later)
            return Added(number, len(recipients), claimed, channels)

        return await self._writer.write(add)

    async def _add_large_event(
        self,
        event: Event,
        user_ids: Sequence[int],
        environment: Environment | None,
        choose: Choose,
    ) -> Added:
        """The same for thousands of users, in slices: nobody who wants to write, or to run, waits
        for all of it. What is in goes out; if the process dies, the rest does not."""
        found: list[Subscription] = []
        for some in _batches(user_ids, _READ_AT_ONCE):
            found += await asyncio.to_thread(self._find, event.application_id, some, environment)
        recipients = await asyncio.to_thread(choose, found)
        values = event_columns(event)
        number = await self._writer.write(lambda c: int(c.execute(ADD_EVENT, values).scalar_one()))
        for slice_ in _batches(recipients, _SLICE):
            await self._writer.write(partial(_add_waiting, event, number, slice_))
        channels = frozenset(one.channel for one in recipients)
        return Added(number, len(recipients), [], channels)

    def _find(
        self, application_id: int, user_ids: Sequence[int], environment: Environment | None
    ) -> list[Subscription]:
        with self._engine.connect() as connection:
            return _subscriptions_of(connection, application_id, user_ids, environment)

    async def claim(
        self, channel: Channel, about_calls: bool, now_ms: int, limit: int
    ) -> list[Claimed]:
        """Take pushes that are due, about calls or others.

        The cancel of a ring waits until that ring is out.
        """
        asked = {
            "channel": channel, "about_calls": about_calls, "now_ms": now_ms,
            "now": now_ms // 1000, "most": limit,
        }  # fmt: skip

        def take(connection: Connection) -> list[Claimed]:
            numbers = connection.execute(DUE, asked).scalars().all()
            if not numbers:
                return []
            connection.execute(CLAIM, {"numbers": numbers})
            rows = connection.execute(CLAIMED, {"numbers": numbers}).all()
            gone = set(numbers) - {row.push_id for row in rows}
            if gone:  # the subscription was removed meanwhile
                connection.execute(GONE, {"numbers": list(gone), "now_ms": now_ms})
            messages: dict[int, Message] = {}
            return [claimed_of(row, messages) for row in rows]

        return await self._writer.write(take)

    async def note(self, notes: Sequence[Note]) -> None:
        """Keep what came of attempts."""
        values = [
            {
                "push_id": note.push_id, "new_state": note.state, "new_reason": note.reason,
                "new_due_at": note.due_ms,
                "new_done_at": None if note.state is State.QUEUED else note.now_ms,
            }
            for note in notes
        ]  # fmt: skip

        def keep(connection: Connection) -> None:
            connection.execute(NOTE, values)
            for note in notes:
                if note.dead_token is not None:
                    is_it = subscriptions.c.id == note.subscription_id
                    same = subscriptions.c.token == note.dead_token
                    connection.execute(delete(subscriptions).where(is_it, same))

        await self._writer.write(keep)

    async def withdraw_start(
        self, application_id: int, user_id: int, tag: str, callee_ids: Collection[int], now_ms: int
    ) -> list[Subscription]:
        """Send no more starts of a ring to some callees; the subscriptions that may have got it."""
        ring = select(events.c.id).where(
            events.c.application_id == application_id,
            events.c.tag == tag,
            events.c.user_id == user_id,
            events.c.kind == Kind.START,
        )
        mine = and_(pushes.c.event_id.in_(ring), pushes.c.user_id.in_(callee_ids))
        queued = and_(mine, pushes.c.state == State.QUEUED)
        shown = or_(
            pushes.c.state.in_(_MAYBE_SHOWN),
            and_(pushes.c.state == State.QUEUED, pushes.c.attempts > 0),
        )
        seen = select(subscriptions).where(
            subscriptions.c.id.in_(select(pushes.c.subscription_id).where(mine, shown))
        )

        def withdraw(connection: Connection) -> list[Subscription]:
            found = [subscription_of(row) for row in connection.execute(seen)]
            connection.execute(
                update(pushes).where(queued).values(
                    state=State.WITHDRAWN, done_at=now_ms, reason="the call does not ring any more"
                )
            )  # fmt: skip
            claimed = and_(mine, pushes.c.state == State.CLAIMED)
            connection.execute(update(pushes).where(claimed).values(withdrawn=True))
            return found

        return await self._writer.write(withdraw)

    async def recover(self) -> int:
        """Whatever was being sent when the last process ended is sent again: nobody knows whether
        it got out."""
        lost = update(pushes).where(pushes.c.state == State.CLAIMED).values(state=State.QUEUED)
        return await self._writer.write(lambda connection: connection.execute(lost).rowcount)

    async def expire(self, now_ms: int) -> int:
        """Give up what was not sent in time; how many."""
        late = and_(pushes.c.state == State.QUEUED, pushes.c.expires_at <= now_ms // 1000)
        ended = update(pushes).where(late).values(state=State.EXPIRED, done_at=now_ms)
        return await self._writer.write(lambda connection: connection.execute(ended).rowcount)

    async def queued(self) -> int:
        """How many pushes wait."""
        waiting = select(func.count()).select_from(pushes).where(pushes.c.state == State.QUEUED)
        return int((await self._read(waiting))[0][0])

    async def remove_old(self, before: int, limit: int) -> int:
        """Forget some of the events, with their pushes, and missed calls from before a time."""
        waiting = select(pushes.c.event_id).where(pushes.c.state.in_((State.QUEUED, State.CLAIMED)))
        old_events = (
            select(events.c.id)
            .where(events.c.created_at < before * 1000, events.c.id.not_in(waiting))
            .limit(limit)
        )
        old_calls = select(missed_calls.c.id).where(missed_calls.c.called_at < before).limit(limit)

        def remove(connection: Connection) -> int:
            calls = delete(missed_calls).where(missed_calls.c.id.in_(old_calls))
            connection.execute(calls)
            return connection.execute(delete(events).where(events.c.id.in_(old_events))).rowcount

        return await self._writer.write(remove)

    async def log(
        self, application_id: int | None, limit: int, before_id: int | None = None
    ) -> list[LogEntry]:
        """The newest pushes first."""
        query = select(
            pushes, events.c.kind, events.c.tag, events.c.by_server, events.c.created_at
        ).join(events, events.c.id == pushes.c.event_id)
        if application_id is not None:
            query = query.where(pushes.c.application_id == application_id)
        if before_id is not None:
            query = query.where(pushes.c.id < before_id)
        return await self._read_as(query.order_by(pushes.c.id.desc()).limit(limit), log_entry_of)

    # Missed calls

    async def add_missed_call(self, call: MissedCall) -> None:
        """Keep it, unless it is known or the callee is gone."""

        def add(connection: Connection) -> None:
            same = (
                missed_calls.c.user_id == call.user_id,
                missed_calls.c.session_id == call.session_id,
                missed_calls.c.caller_id == call.caller_id,
            )
            is_user = users.c.id == call.user_id, users.c.application_id == call.application_id
            known = connection.execute(select(missed_calls.c.id).where(*same)).first()
            if known or not connection.execute(select(users.c.id).where(*is_user)).first():
                return
            connection.execute(
                insert(missed_calls).values(
                    application_id=call.application_id, user_id=call.user_id,
                    session_id=call.session_id, caller_id=call.caller_id, call_type=call.call_type,
                    opponents_ids=",".join(map(str, call.opponents_ids)),
                    called_at=call.called_at, rang_seconds=call.rang_seconds,
                )
            )  # fmt: skip

        await self._writer.write(add)

    async def missed_calls(
        self, user_id: int, limit: int, before_id: int | None
    ) -> list[MissedCall]:
        """One user's, the newest first."""
        query = select(missed_calls).where(missed_calls.c.user_id == user_id)
        if before_id is not None:
            query = query.where(missed_calls.c.id < before_id)
        return await self._read_as(
            query.order_by(missed_calls.c.id.desc()).limit(limit), missed_call_of
        )

    # Helpers

    async def _read(self, query: Any) -> Sequence[Row[Any]]:
        def read() -> Sequence[Row[Any]]:
            with self._engine.connect() as connection:
                return connection.execute(query).all()

        return await asyncio.to_thread(read)

    async def _read_as(self, query: Any, make: Callable[[Mapping[Any, Any]], _T]) -> list[_T]:
        def read() -> list[_T]:
            with self._engine.connect() as connection:
                return [make(row._mapping) for row in connection.execute(query)]

        return await asyncio.to_thread(read)


def _subscriptions_of(
    connection: Connection,
    application_id: int,
    user_ids: Sequence[int],
    environment: Environment | None,
) -> list[Subscription]:
    found = []
    for some in _batches(user_ids):
        rows = connection.execute(OF_USERS, {"user_ids": some})
        found += [subscription_of(row) for row in rows if row.application_id == application_id]
    return [one for one in found if environment in (None, one.environment)]


def _split(
    event: Event, recipients: Sequence[Subscription], room: Mapping[Channel, int]
) -> tuple[list[Subscription], list[Subscription]]:
    """Who is sent to at once, and who waits for a turn. Cancels wait for their starts."""
    if event.kind is Kind.CANCEL or first_state(event) is not State.QUEUED:
        return [], list(recipients)
    left = dict(room)
    now: list[Subscription] = []
    later: list[Subscription] = []
    for one in recipients:
        free = left.get(one.channel, 0)
        left[one.channel] = free - 1
        (now if free > 0 else later).append(one)
    return now, later


def _add_waiting(
    event: Event, number: int, recipients: Sequence[Subscription], connection: Connection
) -> None:
    rows = [push_columns(event, number, one, first_state(event)) for one in recipients]
    for some in _batches(rows):
        connection.execute(ADD_PUSH, list(some))


def _add_claimed(
    connection: Connection, event: Event, number: int, recipients: Sequence[Subscription]
) -> list[Claimed]:
    if not recipients:
        return []
    rows = [push_columns(event, number, one, State.CLAIMED) for one in recipients]
    ids = connection.execute(ADD_CLAIMED, rows).scalars().all()
    return [
        Claimed(
            Push(
                id=push_id,
                subscription=one,
                message=event.message,
                expires_at=event.expires_at,
                kind=event.kind,
                tag=event.tag,
            ),
            1,
            event.created_ms,
        )
        for push_id, one in zip(ids, recipients, strict=True)
    ]


def _already(connection: Connection, event: Event) -> Collection[int]:
    """Subscriptions that have got this from the same person for the same call."""
    asked = {
        "application_id": event.application_id, "tag": event.tag, "user_id": event.user_id,
        "kind": event.kind,
    }  # fmt: skip
    return set(connection.execute(ALREADY, asked).scalars())


def _same_device(subscription: Subscription) -> Any:
    return and_(
        subscriptions.c.user_id == subscription.user_id,
        subscriptions.c.udid == subscription.udid,
        subscriptions.c.channel == subscription.channel,
    )


def _same_token(subscription: Subscription) -> Any:
    return and_(
        subscriptions.c.application_id == subscription.application_id,
        subscriptions.c.channel == subscription.channel,
        subscriptions.c.token == (subscription.web_endpoint or subscription.token),
    )


def _has_tag(tag: str) -> Any:
    return and_(
        users.c.user_tags.is_not(None), users.c.user_tags.contains(f",{tag},", autoescape=True)
    )


def _batches(values: Sequence[_T], size: int = _BATCH) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
