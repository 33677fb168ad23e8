"""Push subscriptions, the outbox and missed calls in the database. See `SqlStore`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    and_,
    bindparam,
    case,
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
    Platform,
    Push,
    Subscription,
)
from ringmesh.server.push.records import Claimed, Event, LogEntry, MissedCall, Note, State
from ringmesh.server.store.schema import events, missed_calls, pushes, subscriptions, users
from ringmesh.server.store.sql import WRITE

_T = TypeVar("_T")
_BATCH = 500
_MAYBE_SHOWN = (State.CLAIMED, State.DELIVERED)


class PushStore:
    """Every method is one transaction, run in a thread.

    All writing is done by one thread: SQLite's writers who wait for each other sleep for too long.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{WRITE: True})
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="push store")

    async def close(self) -> None:
        """Release the connections, after what is under way."""
        await asyncio.to_thread(self._writer.shutdown)
        self._engine.dispose()

    # Subscriptions

    async def save_subscription(self, subscription: Subscription, now: int, most: int) -> int:
        """Add it, or replace the one of the same user, device and channel; its id.

        Whoever had its token before has it no longer. The user's oldest make room beyond `most`.
        """

        def save(connection: Connection) -> int:
            mine, others = _same_device(subscription), _same_token(subscription)
            connection.execute(delete(subscriptions).where(others, ~mine))
            values = {**_columns(subscription), "created_at": now}
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

        return await self._write(save)

    async def subscriptions_of(self, user_id: int) -> list[Subscription]:
        """One user's, by ascending id."""
        found = select(subscriptions).where(subscriptions.c.user_id == user_id)
        rows = await self._read(found.order_by(subscriptions.c.id))
        return [_subscription(row._mapping) for row in rows]

    async def remove_subscription(self, user_id: int, subscription_id: int) -> bool:
        """Remove a user's own; False when there was none."""
        mine = subscriptions.c.user_id == user_id
        removed = delete(subscriptions).where(subscriptions.c.id == subscription_id, mine)
        return await self._write(lambda connection: connection.execute(removed).rowcount > 0)

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

    async def subscriptions_for(
        self, application_id: int, user_ids: Sequence[int], environment: Environment | None
    ) -> list[Subscription]:
        """All by which these users of an application can be reached in an environment."""
        found: list[Subscription] = []
        for some in _batches(user_ids):
            query = select(subscriptions).where(
                subscriptions.c.user_id.in_(some),
                subscriptions.c.application_id == application_id,
            )
            if environment is not None:
                query = query.where(subscriptions.c.environment == environment)
            found += await self._read_as(query, _subscription)
        return found

    async def add_event(self, event: Event, recipients: Sequence[Subscription]) -> tuple[int, int]:
        """Keep an event with its pushes: its id, and how many pushes there are.

        One that starts or cancels a ring goes to each device once for each call.
        """

        def add(connection: Connection) -> tuple[int, int]:
            row = connection.execute(
                insert(events).values(_event_columns(event)).returning(events.c.id)
            ).one()
            known = (
                _already(connection, event) if event.tag and event.kind is not Kind.OTHER else ()
            )
            rows = [
                _push_columns(event, row.id, subscription)
                for subscription in recipients
                if subscription.id not in known
            ]
            for some in _batches(rows):
                connection.execute(insert(pushes), list(some))
            return int(row.id), len(rows)

        return await self._write(add)

    async def claim(
        self, channel: Channel, about_calls: bool, now_ms: int, limit: int
    ) -> list[Claimed]:
        """Take pushes that are due, about calls or others.

        The cancel of a ring waits until that ring is out.
        """
        ids = _due(channel, about_calls, now_ms, limit)
        taken = (
            update(pushes)
            .where(pushes.c.id.in_(ids))
            .values(state=State.CLAIMED, attempts=pushes.c.attempts + 1)
        )

        def take(connection: Connection) -> list[Claimed]:
            numbers = [row.id for row in connection.execute(taken.returning(pushes.c.id))]
            if not numbers:
                return []
            rows = connection.execute(_claimed_rows(numbers)).all()
            gone = set(numbers) - {row.push_id for row in rows}
            if gone:  # the subscription was removed meanwhile
                end = update(pushes).where(pushes.c.id.in_(gone))
                reason = "the subscription was removed"
                connection.execute(end.values(state=State.WITHDRAWN, reason=reason, done_at=now_ms))
            messages: dict[int, Message] = {}
            return [_claimed(row, messages) for row in rows]

        return await self._write(take)

    async def next_due_ms(self, channel: Channel, about_calls: bool, after_ms: int) -> int | None:
        """When the next push of a channel that is not due yet becomes so."""
        query = select(func.min(pushes.c.due_at)).where(
            pushes.c.state == State.QUEUED,
            pushes.c.channel == channel,
            pushes.c.about_call.is_(about_calls),
            pushes.c.due_at > after_ms,
        )
        rows = await self._read(query)
        return None if rows[0][0] is None else int(rows[0][0])

    async def note(self, notes: Sequence[Note]) -> None:
        """Keep what came of attempts."""
        again = and_(bindparam("new_state") == State.QUEUED, pushes.c.withdrawn)
        statement = (
            update(pushes)
            .where(pushes.c.id == bindparam("push_id"), pushes.c.state == State.CLAIMED)
            .values(
                state=case((again, State.WITHDRAWN), else_=bindparam("new_state")),
                reason=bindparam("new_reason"),
                due_at=bindparam("new_due_at"),
                done_at=bindparam("new_done_at"),
            )
        )
        values = [
            {
                "push_id": note.push_id, "new_state": note.state, "new_reason": note.reason,
                "new_due_at": note.due_ms,
                "new_done_at": None if note.state is State.QUEUED else note.now_ms,
            }
            for note in notes
        ]  # fmt: skip

        def keep(connection: Connection) -> None:
            connection.execute(statement, values)
            for note in notes:
                if note.dead_token is not None:
                    is_it = subscriptions.c.id == note.subscription_id
                    same = subscriptions.c.token == note.dead_token
                    connection.execute(delete(subscriptions).where(is_it, same))

        await self._write(keep)

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
            found = [_subscription(row._mapping) for row in connection.execute(seen)]
            connection.execute(
                update(pushes).where(queued).values(
                    state=State.WITHDRAWN, done_at=now_ms, reason="the call does not ring any more"
                )
            )  # fmt: skip
            claimed = and_(mine, pushes.c.state == State.CLAIMED)
            connection.execute(update(pushes).where(claimed).values(withdrawn=True))
            return found

        return await self._write(withdraw)

    async def recover(self) -> int:
        """Whatever was being sent when the last process ended is sent again: nobody knows whether
        it got out."""
        lost = update(pushes).where(pushes.c.state == State.CLAIMED).values(state=State.QUEUED)
        return await self._write(lambda connection: connection.execute(lost).rowcount)

    async def expire(self, now_ms: int) -> int:
        """Give up what was not sent in time; how many."""
        late = and_(pushes.c.state == State.QUEUED, pushes.c.expires_at <= now_ms // 1000)
        ended = update(pushes).where(late).values(state=State.EXPIRED, done_at=now_ms)
        return await self._write(lambda connection: connection.execute(ended).rowcount)

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

        return await self._write(remove)

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
        return await self._read_as(query.order_by(pushes.c.id.desc()).limit(limit), _log_entry)

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

        await self._write(add)

    async def missed_calls(
        self, user_id: int, limit: int, before_id: int | None
    ) -> list[MissedCall]:
        """One user's, the newest first."""
        query = select(missed_calls).where(missed_calls.c.user_id == user_id)
        if before_id is not None:
            query = query.where(missed_calls.c.id < before_id)
        return await self._read_as(query.order_by(missed_calls.c.id.desc()).limit(limit), _missed)

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

    async def _write(self, work: Callable[[Connection], _T]) -> _T:
        def write() -> _T:
            with self._writing.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._writer, write)


def _due(channel: Channel, about_calls: bool, now_ms: int, limit: int) -> Any:
    event = events.alias("its_event")
    start, start_event = pushes.alias("start"), events.alias("start_event")
    not_out = (
        select(start.c.id)
        .join(start_event, start_event.c.id == start.c.event_id)
        .where(
            start_event.c.application_id == event.c.application_id,
            start_event.c.tag == event.c.tag,
            start_event.c.kind == Kind.START,
            start.c.subscription_id == pushes.c.subscription_id,
            start.c.state.in_((State.QUEUED, State.CLAIMED)),
        )
        .exists()
    )
    return (
        select(pushes.c.id)
        .join(event, event.c.id == pushes.c.event_id)
        .where(
            pushes.c.state == State.QUEUED,
            pushes.c.channel == channel,
            pushes.c.about_call.is_(about_calls),
            pushes.c.due_at <= now_ms,
            pushes.c.expires_at > now_ms // 1000,
            or_(event.c.kind != Kind.CANCEL, ~not_out),
        )
        .order_by(pushes.c.due_at)
        .limit(limit)
    )


def _claimed_rows(numbers: Sequence[int]) -> Any:
    return (
        select(
            pushes.c.id.label("push_id"),
            pushes.c.attempts,
            events.c.id.label("event_id"),
            events.c.message,
            events.c.formed_for,
            events.c.kind,
            events.c.tag,
            events.c.created_at.label("created_ms"),
            pushes.c.expires_at,
            subscriptions,
        )
        .join(events, events.c.id == pushes.c.event_id)
        .join(subscriptions, subscriptions.c.id == pushes.c.subscription_id)
        .where(pushes.c.id.in_(numbers))
        .order_by(pushes.c.due_at)
    )


def _claimed(row: Row[Any], messages: dict[int, Message]) -> Claimed:
    message = messages.get(row.event_id)
    if message is None:
        formed_for = None if row.formed_for is None else Channel(row.formed_for)
        message = messages[row.event_id] = Message(json.loads(row.message), formed_for)
    push = Push(
        id=row.push_id,
        subscription=_subscription(row._mapping),
        message=message,
        expires_at=row.expires_at,
        kind=Kind(row.kind),
        tag=row.tag,
    )
    return Claimed(push, row.attempts, row.created_ms)


def _already(connection: Connection, event: Event) -> Collection[int]:
    """Subscriptions that have got this from the same person for the same call."""
    query = (
        select(pushes.c.subscription_id)
        .join(events, events.c.id == pushes.c.event_id)
        .where(
            events.c.application_id == event.application_id,
            events.c.tag == event.tag,
            events.c.user_id == event.user_id,
            events.c.kind == event.kind,
        )
    )
    return {row.subscription_id for row in connection.execute(query)}


def _event_columns(event: Event) -> dict[str, Any]:
    return {
        "application_id": event.application_id,
        "user_id": event.user_id,
        "message": json.dumps(dict(event.message.values)),
        "formed_for": event.message.formed_for,
        "kind": event.kind,
        "tag": event.tag,
        "by_server": event.by_server,
        "created_at": event.created_ms,
        "expires_at": event.expires_at,
    }


def _push_columns(event: Event, event_id: int, subscription: Subscription) -> dict[str, Any]:
    late = event.expires_at <= event.created_ms // 1000
    return {
        "event_id": event_id,
        "application_id": event.application_id,
        "subscription_id": subscription.id,
        "user_id": subscription.user_id,
        "channel": subscription.channel,
        "state": State.EXPIRED if late else State.QUEUED,
        "withdrawn": False,
        "about_call": event.kind is not Kind.OTHER,
        "attempts": 0,
        "due_at": event.created_ms,
        "expires_at": event.expires_at,
        "reason": "",
        "done_at": event.created_ms if late else None,
    }


def _columns(subscription: Subscription) -> dict[str, Any]:
    is_web = subscription.channel is Channel.WEB
    return {
        "application_id": subscription.application_id,
        "user_id": subscription.user_id,
        "channel": subscription.channel,
        "platform": subscription.platform,
        "udid": subscription.udid,
        "environment": subscription.environment,
        "token": subscription.web_endpoint if is_web else subscription.token,
        "bundle_identifier": subscription.bundle_identifier,
        "web_auth": subscription.web_auth,
        "web_p256dh": subscription.web_p256dh,
    }


def _subscription(row: Mapping[Any, Any]) -> Subscription:
    column = subscriptions.c
    channel = Channel(row[column.channel])
    token = row[column.token]
    is_web = channel is Channel.WEB
    return Subscription(
        id=row[column.id],
        application_id=row[column.application_id],
        user_id=row[column.user_id],
        channel=channel,
        platform=Platform(row[column.platform]),
        udid=row[column.udid],
        environment=Environment(row[column.environment]),
        token="" if is_web else token,
        bundle_identifier=row[column.bundle_identifier],
        web_endpoint=token if is_web else None,
        web_auth=row[column.web_auth],
        web_p256dh=row[column.web_p256dh],
    )


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


def _log_entry(row: Mapping[Any, Any]) -> LogEntry:
    return LogEntry(
        id=row["id"],
        event_id=row["event_id"],
        application_id=row["application_id"],
        user_id=row["user_id"],
        channel=Channel(row["channel"]),
        kind=Kind(row["kind"]),
        tag=row["tag"],
        by_server=row["by_server"],
        state=State(row["state"]),
        attempts=row["attempts"],
        reason=row["reason"],
        created_ms=row["created_at"],
        done_ms=row["done_at"],
    )


def _missed(row: Mapping[Any, Any]) -> MissedCall:
    ids = filter(None, row["opponents_ids"].split(","))
    return MissedCall(**{**row, "opponents_ids": tuple(map(int, ids))})


def _batches(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
