"""The statements of the outbox. Made once: to make one costs as much as to run it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, case, insert, or_, select, update

from ringmesh.server.push.contract import Kind
from ringmesh.server.push.records import State
from ringmesh.server.store.schema import events, pushes, subscriptions


def _due() -> Any:
    event = events.alias("its_event")
    start, start_event = pushes.alias("start"), events.alias("start_event")
    # One in the other, not joined: SQLite would begin with all that is queued.
    its_start_waits = (
        select(start.c.id)
        .where(
            start.c.event_id == start_event.c.id,
            start.c.subscription_id == pushes.c.subscription_id,
            start.c.state.in_((State.QUEUED, State.CLAIMED)),
        )
        .correlate(start_event, pushes)
        .exists()
    )
    not_out = (
        select(start_event.c.id)
        .where(
            start_event.c.application_id == event.c.application_id,
            start_event.c.tag == event.c.tag,
            start_event.c.kind == Kind.START,
            its_start_waits,
        )
        .correlate(event, pushes)
        .exists()
    )
    return (
        select(pushes.c.id)
        .join(event, event.c.id == pushes.c.event_id)
        .where(
            pushes.c.state == State.QUEUED,
            pushes.c.channel == bindparam("channel"),
            pushes.c.about_call == bindparam("about_calls"),
            pushes.c.due_at <= bindparam("now_ms"),
            pushes.c.expires_at > bindparam("now"),
            or_(event.c.kind != Kind.CANCEL, ~not_out),
        )
        .order_by(pushes.c.due_at)
        .limit(bindparam("most"))
    )


def _claimed_rows() -> Any:
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
            *_SUBSCRIPTION,
        )
        .join(events, events.c.id == pushes.c.event_id)
        .join(subscriptions, subscriptions.c.id == pushes.c.subscription_id)
        .where(pushes.c.id.in_(_NUMBERS))
        .order_by(pushes.c.due_at)
    )


def _known() -> Any:
    return (
        select(pushes.c.subscription_id)
        .join(events, events.c.id == pushes.c.event_id)
        .where(
            events.c.application_id == bindparam("application_id"),
            events.c.tag == bindparam("tag"),
            events.c.user_id == bindparam("user_id"),
            events.c.kind == bindparam("kind"),
        )
    )


def _noting() -> Any:
    again = and_(bindparam("new_state") == State.QUEUED, pushes.c.withdrawn)
    return (
        update(pushes)
        .where(pushes.c.id == bindparam("push_id"), pushes.c.state == State.CLAIMED)
        .values(
            state=case((again, State.WITHDRAWN), else_=bindparam("new_state")),
            reason=bindparam("new_reason"),
            due_at=bindparam("new_due_at"),
            done_at=bindparam("new_done_at"),
        )
    )


_NUMBERS: Any = bindparam("numbers", expanding=True)
_SUBSCRIPTION = [column for column in subscriptions.c if column.name != "created_at"]
# Without the application: SQLite would read all of its subscriptions, by the index of tokens.
OF_USERS = select(*_SUBSCRIPTION).where(
    subscriptions.c.user_id.in_(bindparam("user_ids", expanding=True))
)
ADD_EVENT = insert(events).returning(events.c.id)
ADD_PUSH = insert(pushes)
ADD_CLAIMED = insert(pushes).returning(pushes.c.id, sort_by_parameter_order=True)
ALREADY = _known()
DUE = _due()
CLAIM = (
    update(pushes)
    .where(pushes.c.id.in_(_NUMBERS))
    .values(state=State.CLAIMED, attempts=pushes.c.attempts + 1)
)
CLAIMED = _claimed_rows()
GONE = (
    update(pushes)
    .where(pushes.c.id.in_(_NUMBERS))
    .values(
        state=State.WITHDRAWN, reason="the subscription was removed", done_at=bindparam("now_ms")
    )
)
NOTE = _noting()
