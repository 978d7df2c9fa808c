"""Part 2: redelivery, statutory queries, quotas, passkeys.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new; nothing that stands is changed."""
    op.add_column("ledger_head", sa.Column("mac", sa.LargeBinary(length=32), nullable=True))
    _redelivery()
    _statutory()
    _quotas()
    _passkeys()
    _auditors()


def downgrade() -> None:
    """There is no way down: a ledger is append-only."""
    raise RuntimeError("the ledger is append-only: restore a backup instead of going down")


def _redelivery() -> None:
    op.add_column("queries", sa.Column("body_mac", sa.LargeBinary(length=32), nullable=True))
    op.add_column("queries", sa.Column("given", sa.LargeBinary(), nullable=True))
    op.add_column("queries", sa.Column("given_at", sa.BigInteger(), nullable=True))
    op.create_index("queries_given", "queries", ["given_at"])


def _statutory() -> None:
    op.create_table(
        "pending_queries",
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("statute", sa.Text(), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("lapses_at", sa.BigInteger(), nullable=False),
        sa.Column("deferred_until", sa.BigInteger(), nullable=True),
        sa.Column("pending_index", sa.BigInteger(), nullable=False),
        sa.Column("answer_index", sa.BigInteger(), nullable=True),
        sa.Column("unsealed_index", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("institution", "query"),
    )
    op.create_index("pending_queries_due", "pending_queries", ["state", "lapses_at"])
    op.create_index("pending_queries_deferred", "pending_queries", ["deferred_until"])


def _quotas() -> None:
    op.create_table(
        "quota_counts",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("per", sa.Text(), nullable=False),
        sa.Column("window", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", "purpose", "per"),
    )
    op.create_table(
        "throttled",
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("operator", "minute"),
    )


def _passkeys() -> None:
    op.create_table(
        "webauthn_challenges",
        sa.Column("nonce", sa.LargeBinary(length=32), nullable=False),
        sa.Column("document", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("nonce"),
    )
    op.create_index("webauthn_challenges_expiry", "webauthn_challenges", ["expires"])


def _auditors() -> None:
    op.create_table(
        "auditor_shards",
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("login", "shard"),
        comment="which logs an auditor's login may read (PostgreSQL, row-level security)",
    )
