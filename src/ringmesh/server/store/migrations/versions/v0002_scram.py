"""Keys for SCRAM logins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "scram_keys",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("user_id", _Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("session_id", _Id, sa.ForeignKey("sessions.id", ondelete="CASCADE")),
        sa.Column("password_hash", sa.Text),
        sa.Column("sha1", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("scram_keys_by_user", "scram_keys", ["user_id"])
    op.create_index("scram_keys_by_session", "scram_keys", ["session_id"])
