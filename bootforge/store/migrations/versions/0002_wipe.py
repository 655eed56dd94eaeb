"""A grant may permit to wipe disks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("grant", sa.Column("wipe", sa.String(1000), nullable=False, server_default=""))
