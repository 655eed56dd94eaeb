"""Grants, events and logs: the first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LIVE = sa.text("state IN ('armed', 'booting', 'installing', 'bootstrapping')")


def upgrade() -> None:
    op.create_table(
        "grant",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("why", sa.String(500), nullable=False),
        sa.Column("armed_by", sa.String(100), nullable=False),
        sa.Column("armed_at", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sa.Column("boots", sa.Integer, nullable=False),
        sa.Column("boot_at", sa.Double),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("kickstarts", sa.Integer, nullable=False),
        sa.Column("kickstart_at", sa.Double),
        sa.Column("kickstart_address", sa.String(64)),
        sa.Column("bootstraps", sa.Integer, nullable=False),
        sa.Column("bootstrap_at", sa.Double),
        sa.Column("bootstrap_address", sa.String(64)),
        sa.Column("reports", sa.Integer, nullable=False),
        sa.Column("report_at", sa.Double),
    )
    op.create_index("ix_grant_host", "grant", ["host"])
    op.create_index("one_live_grant", "grant", ["host"], unique=True, sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("last", sa.Double, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("mac", sa.String(32), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("detail", sa.String(800), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_source_at", "event", ["source", "at"])
    op.create_index("ix_event_host", "event", ["host"])
    op.create_table(
        "log",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("grant_id", sa.String(32), sa.ForeignKey("grant.id"), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("grant_id", "name", name="one_log_per_name"),
    )
    op.create_index("ix_log_host", "log", ["host"])
