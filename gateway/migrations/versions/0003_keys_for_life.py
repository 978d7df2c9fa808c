"""Part 3: several keys a person, holds and erasures, copies of custody, events and notices.

Revision ID: 0003
"""

import json
import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new; a person may have several keys."""
    _citizen_keys()
    op.add_column("subjects", sa.Column("index_version", sa.Integer(), nullable=True))
    op.add_column("records", sa.Column("index_version", sa.Integer(), nullable=True))
    op.add_column("published_keys", sa.Column("since_index", sa.BigInteger(), nullable=True))
    op.add_column("published_keys", sa.Column("ended_index", sa.BigInteger(), nullable=True))
    op.create_index("data_keys_by_epoch", "data_keys", ["epoch"])
    _erasure()
    _events()
    _notices()


def downgrade() -> None:
    """There is no way down: a ledger is append-only."""
    raise RuntimeError("the ledger is append-only: restore a backup instead of going down")


def _citizen_keys() -> None:
    """The same table without its unique subject. SQLite cannot drop a constraint, so both engines copy."""
    op.rename_table("citizen_keys", "citizen_keys_before")
    op.create_table(
        "citizen_keys_now",
        sa.Column("kid_lookup", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("registrar", sa.Text(), nullable=False),
        sa.Column("jwk", sa.LargeBinary(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("commitment_salt", sa.LargeBinary(), nullable=False),
        sa.Column("effective", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("index_version", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("kid_lookup"),
        sa.UniqueConstraint("about"),
    )
    op.execute(
        "INSERT INTO citizen_keys_now (kid_lookup, subject, about, registrar, jwk, certificate, "
        "commitment_salt, effective, state, changed_index, mac) "
        "SELECT kid_lookup, subject, about, registrar, jwk, certificate, "
        "commitment_salt, effective, state, changed_index, mac FROM citizen_keys_before"
    )
    op.drop_table("citizen_keys_before")
    op.rename_table("citizen_keys_now", "citizen_keys")
    op.create_index("citizen_keys_by_subject", "citizen_keys", ["subject"])


def _erasure() -> None:
    op.create_table(
        "holds",
        sa.Column("case", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("case"),
    )
    op.create_index("holds_by_tag", "holds", ["tag"])
    op.create_table(
        "erasures",
        sa.Column("erasure", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("todo", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("erasure"),
    )
    op.create_table(
        "spent_certificates",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("records_due", "records", ["shown_until"])
    op.create_index("erasures_by_epoch", "erasures", ["epoch"])
    op.create_table(
        "custody_copies",
        sa.Column("copy", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("epochs", sa.Text(), nullable=False),
        sa.Column("made_index", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("copy"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("institution", "seq"),
        sa.UniqueConstraint("institution", "kind", "name", "idx"),
    )
    op.create_table(
        "webhooks",
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("institution"),
    )
    op.create_index("webhooks_due", "webhooks", ["state", "next_at"])
    op.create_table(
        "expiries",
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consent"),
    )
    op.create_index("expiries_due", "expiries", ["not_after"])
    _watch_standing_consents()


def _watch_standing_consents() -> None:
    """Consents of before that have not run out yet: whoever holds one is told when it does."""
    now = time.time_ns() // 1_000_000
    found = op.get_bind().execute(
        sa.text(
            "SELECT g.consent, g.recipient, l.idx, l.leaf FROM grants AS g "
            "JOIN ledger_leaves AS l ON l.shard = g.shard AND l.idx = g.grant_index "
            "WHERE g.state = 'granted' AND l.type = 'consent.granted'"
        )
    )
    watched = []
    for row in found:
        ends = datetime.fromisoformat(json.loads(row.leaf)["body"]["not_after"])
        not_after = (ends - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        if not_after > now:
            watched.append((row.consent, row.recipient, row.idx, not_after))
    names = ("consent", "institution", "idx", "not_after")
    if watched:
        table = sa.table("expiries", *map(sa.column, names))
        op.bulk_insert(table, [dict(zip(names, one, strict=True)) for one in watched])


def _notices() -> None:
    op.create_table(
        "contacts",
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "channel"),
    )
    op.create_table(
        "outbox",
        sa.Column("notice", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("notice"),
    )
    op.create_index("outbox_due", "outbox", ["state", "next_at"])
    op.create_index("outbox_by_subject", "outbox", ["subject"])
    op.create_table(
        "noticed",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard"),
    )
