"""Baseline."""

from alembic import op

from ledger.tables import SQLITE_TRIGGERS, metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    for trigger in SQLITE_TRIGGERS:
        op.execute(trigger)
