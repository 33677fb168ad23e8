"""Between the rows of the tables for pushes and the values that the server works with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from ringmesh.server.push.contract import (
    Channel,
    Environment,
    Kind,
    Message,
    Platform,
    Push,
    Subscription,
)
from ringmesh.server.push.records import Claimed, Event, LogEntry, MissedCall, State


def claimed_of(row: Row[Any], messages: dict[int, Message]) -> Claimed:
    """A claimed push; `messages` keeps those of the same event."""
    message = messages.get(row.event_id)
    if message is None:
        formed_for = None if row.formed_for is None else Channel(row.formed_for)
        message = messages[row.event_id] = Message(json.loads(row.message), formed_for)
    push = Push(
        id=row.push_id,
        subscription=subscription_of(row),
        message=message,
        expires_at=row.expires_at,
        kind=Kind(row.kind),
        tag=row.tag,
    )
    return Claimed(push, row.attempts, row.created_ms)


def first_state(event: Event) -> State:
    """What a push of an event begins as."""
    late = event.expires_at <= event.created_ms // 1000
    return State.EXPIRED if late else State.QUEUED


def event_columns(event: Event) -> dict[str, Any]:
    """An event for its table."""
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


def push_columns(
    event: Event, event_id: int, subscription: Subscription, state: State
) -> dict[str, Any]:
    """A push for its table."""
    return {
        "event_id": event_id,
        "application_id": event.application_id,
        "subscription_id": subscription.id,
        "user_id": subscription.user_id,
        "channel": subscription.channel,
        "state": state,
        "withdrawn": False,
        "about_call": event.kind is not Kind.OTHER,
        "attempts": 1 if state is State.CLAIMED else 0,
        "due_at": event.created_ms,
        "expires_at": event.expires_at,
        "reason": "",
        "done_at": event.created_ms if state is State.EXPIRED else None,
    }


def subscription_columns(subscription: Subscription) -> dict[str, Any]:
    """A subscription for its table, without its id."""
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


def subscription_of(row: Row[Any]) -> Subscription:
    """A subscription from its table."""
    channel = Channel(row.channel)
    is_web = channel is Channel.WEB
    return Subscription(
        id=row.id,
        application_id=row.application_id,
        user_id=row.user_id,
        channel=channel,
        platform=Platform(row.platform),
        udid=row.udid,
        environment=Environment(row.environment),
        token="" if is_web else row.token,
        bundle_identifier=row.bundle_identifier,
        web_endpoint=row.token if is_web else None,
        web_auth=row.web_auth,
        web_p256dh=row.web_p256dh,
    )


def log_entry_of(row: Mapping[Any, Any]) -> LogEntry:
    """A push with its event."""
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


def missed_call_of(row: Mapping[Any, Any]) -> MissedCall:
    """A missed call from its table."""
    ids = filter(None, row["opponents_ids"].split(","))
    return MissedCall(**{**row, "opponents_ids": tuple(map(int, ids))})
