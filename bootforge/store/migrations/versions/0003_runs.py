"""How the first boot went; runs of the bootstrap, and when each step changed something or failed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("grant", sa.Column("booted_at", sa.Double))
    op.add_column("grant", sa.Column("boot_failed_at", sa.Double))
    # What was installed before is not waited for.
    grant = sa.table("grant", sa.column("booted_at"), sa.column("report_at"), sa.column("state"))
    op.execute(sa.update(grant).where(grant.c.state == "installed").values(booted_at=grant.c.report_at))
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("checked", sa.Integer, nullable=False),
        sa.Column("revision", sa.String(80), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("exit", sa.Integer),
        sa.Column("ms", sa.Integer, nullable=False),
        sa.Column("changed", sa.Integer, nullable=False),
        sa.Column("would", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("why", sa.String(500), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_run_host", "run", ["host"])
    op.create_table(
        "step",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("changed_at", sa.Double),
        sa.Column("changed_text", sa.String(500), nullable=False),
        sa.Column("failed_at", sa.Double),
        sa.Column("failed_text", sa.String(500), nullable=False),
    )
