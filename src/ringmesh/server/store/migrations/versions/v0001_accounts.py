"""Applications, users and sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "applications",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("auth_key", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    _create_users()
    op.create_table(
        "sessions",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        _application(),
        sa.Column("user_id", _Id, sa.ForeignKey("users.id", ondelete="CASCADE")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("fixed_expiry", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("sessions_by_user", "sessions", ["user_id"])
    op.create_index("sessions_by_expiry", "sessions", ["expires_at"])


def _application() -> sa.Column[int]:
    key = sa.ForeignKey("applications.id", ondelete="CASCADE")
    return sa.Column("application_id", _Id, key, nullable=False)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", _Id, primary_key=True),
        _application(),
        sa.Column("password_hash", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("last_request_at", sa.BigInteger),
        sa.Column("login", sa.Text),
        sa.Column("login_key", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("email_key", sa.Text),
        sa.Column("full_name", sa.Text),
        sa.Column("phone", sa.Text),
        sa.Column("website", sa.Text),
        sa.Column("external_id", sa.Text),
        sa.Column("external_user_id", sa.BigInteger),
        sa.Column("facebook_id", sa.Text),
        sa.Column("twitter_id", sa.Text),
        sa.Column("blob_id", sa.BigInteger),
        sa.Column("custom_data", sa.Text),
        sa.Column("avatar", sa.Text),
        sa.Column("user_tags", sa.Text),
        sa.Column("timezone", sa.Integer),
        sa.Column("is_guest", sa.Boolean, nullable=False),
        sa.UniqueConstraint("application_id", "login_key"),
        sa.UniqueConstraint("application_id", "email_key"),
        sa.UniqueConstraint("application_id", "external_id"),
        sa.UniqueConstraint("application_id", "external_user_id"),
        sa.UniqueConstraint("application_id", "facebook_id"),
        sa.UniqueConstraint("application_id", "twitter_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("users_by_phone", "users", ["application_id", "phone"])
    op.create_index("users_by_full_name", "users", ["application_id", "full_name"])
    op.create_index("guests_by_age", "users", ["is_guest", "created_at"])


def downgrade() -> None:
    """Remove the tables."""
    for table in ("sessions", "users", "applications"):
        op.drop_table(table)
