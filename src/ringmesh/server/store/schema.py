"""The tables. `migrations/` brings an existing database to this shape."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite numbers rows by itself only in a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

applications = Table(
    "applications",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("auth_key", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("application_id", Id, ForeignKey("applications.id", ondelete="CASCADE"), nullable=False),
    Column("password_hash", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_request_at", BigInteger),
    Column("login", Text),
    Column("login_key", Text),  # casefolded: logins that differ in case are the same
    Column("email", Text),
    Column("email_key", Text),
    Column("full_name", Text),
    Column("phone", Text),
    Column("website", Text),
    Column("external_id", Text),
    Column("external_user_id", BigInteger),
    Column("facebook_id", Text),
    Column("twitter_id", Text),
    Column("blob_id", BigInteger),
    Column("custom_data", Text),
    Column("avatar", Text),
    Column("user_tags", Text),  # ",red,green,": a tag is found by LIKE '%,red,%'
    Column("timezone", Integer),
    Column("is_guest", Boolean, nullable=False),
    UniqueConstraint("application_id", "login_key"),
    UniqueConstraint("application_id", "email_key"),
    UniqueConstraint("application_id", "external_id"),
    UniqueConstraint("application_id", "external_user_id"),
    UniqueConstraint("application_id", "facebook_id"),
    UniqueConstraint("application_id", "twitter_id"),
    Index("users_by_phone", "application_id", "phone"),
    Index("users_by_full_name", "application_id", "full_name"),
    Index("guests_by_age", "is_guest", "created_at"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("application_id", Id, ForeignKey("applications.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE")),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("fixed_expiry", Boolean, nullable=False),
    Index("sessions_by_user", "user_id"),
    Index("sessions_by_expiry", "expires_at"),
    sqlite_autoincrement=True,
)

scram_keys = Table(
    "scram_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("session_id", Id, ForeignKey("sessions.id", ondelete="CASCADE")),
    Column("password_hash", Text),  # keys of another password than the user's are void
    Column("sha1", LargeBinary, nullable=False),  # stored key and server key
    Column("sha256", LargeBinary, nullable=False),
    Index("scram_keys_by_user", "user_id"),
    Index("scram_keys_by_session", "session_id"),
    sqlite_autoincrement=True,
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("application_id", Id, ForeignKey("applications.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("udid", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("token", Text, nullable=False),  # of web: the endpoint
    Column("bundle_identifier", Text),
    Column("web_auth", Text),
    Column("web_p256dh", Text),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("user_id", "udid", "channel"),
    # A device that changes hands must not ring for its former user.
    UniqueConstraint("application_id", "channel", "token"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("application_id", Id, ForeignKey("applications.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", BigInteger, nullable=False),  # in whose name
    Column("message", Text, nullable=False),  # JSON
    Column("formed_for", Text),
    Column("kind", Text, nullable=False),
    Column("tag", Text),
    Column("by_server", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("events_by_tag", "application_id", "tag"),
    Index("events_by_age", "created_at"),
    sqlite_autoincrement=True,
)

pushes = Table(
    "pushes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id, ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("application_id", BigInteger, nullable=False),
    Column("subscription_id", BigInteger, nullable=False),  # outlives the subscription, as a log
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False),  # while it was being sent
    Column("about_call", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # milliseconds
    Column("expires_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("done_at", BigInteger),
    Index("pushes_due", "state", "channel", "about_call", "due_at"),
    Index("pushes_by_event", "event_id", "subscription_id"),
    sqlite_autoincrement=True,
)

missed_calls = Table(
    "missed_calls",
    metadata,
    Column("id", Id, primary_key=True),
    Column("application_id", Id, ForeignKey("applications.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("session_id", Text, nullable=False),
    Column("caller_id", BigInteger, nullable=False),
    Column("call_type", Integer, nullable=False),
    Column("opponents_ids", Text, nullable=False),  # with commas
    Column("called_at", BigInteger, nullable=False),
    Column("rang_seconds", Integer, nullable=False),
    UniqueConstraint("user_id", "session_id", "caller_id"),
    Index("missed_calls_by_user", "user_id", "id"),
    Index("missed_calls_by_age", "called_at"),
    sqlite_autoincrement=True,
)
