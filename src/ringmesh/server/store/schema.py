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
