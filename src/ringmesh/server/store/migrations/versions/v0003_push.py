"""Push subscriptions, the outbox, missed calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _create_subscriptions()
    _create_outbox()
    op.create_table(
        "missed_calls",
        sa.Column("id", _Id, primary_key=True),
        _reference("application_id", "applications"),
        _reference("user_id", "users"),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("caller_id", sa.BigInteger, nullable=False),
        sa.Column("call_type", sa.Integer, nullable=False),
        sa.Column("opponents_ids", sa.Text, nullable=False),
        sa.Column("called_at", sa.BigInteger, nullable=False),
        sa.Column("rang_seconds", sa.Integer, nullable=False),
        sa.UniqueConstraint("user_id", "session_id", "caller_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("missed_calls_by_user", "missed_calls", ["user_id", "id"])
    op.create_index("missed_calls_by_age", "missed_calls", ["called_at"])


def _reference(name: str, table: str) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, _Id, key, nullable=False)


def _create_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", _Id, primary_key=True),
        _reference("application_id", "applications"),
        _reference("user_id", "users"),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("udid", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("bundle_identifier", sa.Text),
        sa.Column("web_auth", sa.Text),
        sa.Column("web_p256dh", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_id", "udid", "channel"),
        sa.UniqueConstraint("application_id", "channel", "token"),
        sqlite_autoincrement=True,
    )


def _create_outbox() -> None:
    op.create_table(
        "events",
        sa.Column("id", _Id, primary_key=True),
        _reference("application_id", "applications"),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("formed_for", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("tag", sa.Text),
        sa.Column("by_server", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_by_tag", "events", ["application_id", "tag"])
    op.create_index("events_by_age", "events", ["created_at"])
    op.create_table(
        "pushes",
        sa.Column("id", _Id, primary_key=True),
        _reference("event_id", "events"),
        sa.Column("application_id", sa.BigInteger, nullable=False),
        sa.Column("subscription_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.Column("about_call", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("done_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("pushes_due", "pushes", ["state", "channel", "about_call", "due_at"])
    op.create_index("pushes_by_event", "pushes", ["event_id", "subscription_id"])
