"""Baseline: the schema of the first release, frozen. Later schemas are revisions of their own.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TRIGGERS = (
    """CREATE TRIGGER ledger_leaves_refuse_update BEFORE UPDATE ON ledger_leaves
BEGIN SELECT RAISE(ABORT, 'a leaf of the ledger never changes'); END""",
    """CREATE TRIGGER ledger_leaves_refuse_delete BEFORE DELETE ON ledger_leaves
BEGIN SELECT RAISE(ABORT, 'a leaf of the ledger is never deleted'); END""",
    """CREATE TRIGGER ledger_leaves_refuse_replace BEFORE INSERT ON ledger_leaves
WHEN EXISTS (SELECT 1 FROM ledger_leaves
  WHERE shard = NEW.shard AND (idx = NEW.idx OR (tag = NEW.tag AND n = NEW.n)))
BEGIN SELECT RAISE(ABORT, 'a leaf of the ledger is never replaced'); END""",
)


POSTGRESQL_FUNCTIONS = (
    """CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is refused on %: the ledger only grows', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$""",
    """CREATE FUNCTION ledger_move_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.shard <> OLD.shard OR NEW.size <= OLD.size THEN
    RAISE EXCEPTION '% only ever moves forward', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$""",
)
# What each table refuses as a whole statement, whether or not it meets a row.
POSTGRESQL_REFUSALS = {
    "ledger_leaves": "UPDATE OR DELETE OR TRUNCATE",
    "ledger_sealed": "DELETE OR TRUNCATE",
    "ledger_head": "DELETE OR TRUNCATE",
    "ledger_subjects": "DELETE OR TRUNCATE",
    "ledger_published": "DELETE OR TRUNCATE",
}


def upgrade() -> None:
    """Create everything. Triggers refuse to change a leaf."""
    _ledger()
    _parties()
    _persons()
    _consents()
    if op.get_bind().dialect.name == "postgresql":
        _postgresql_triggers()
    else:
        for trigger in TRIGGERS:
            op.execute(trigger)


def _postgresql_triggers() -> None:
    """They fire ALWAYS: a session that calls itself a replica does not get past them."""
    for function in POSTGRESQL_FUNCTIONS:
        op.execute(function)
    for table, events in POSTGRESQL_REFUSALS.items():
        op.execute(
            f"CREATE TRIGGER {table}_refuse BEFORE {events} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_refuse")
    for table in ("ledger_head", "ledger_published"):
        op.execute(
            f"CREATE TRIGGER {table}_move_on BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION ledger_move_on()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_move_on")


def downgrade() -> None:
    """There is no way down: a ledger is append-only."""
    raise RuntimeError("the ledger is append-only: restore a backup instead of going down")


def _ledger() -> None:
    """The log: head, leaves, heads of persons, sealed details, the published checkpoint."""
    op.create_table(
        "ledger_head",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard"),
        comment="one row per log: its size, its last leaf's hash and time; locking this row is the write lock",
    )
    op.create_table(
        "ledger_leaves",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=True),
        sa.Column("n", sa.BigInteger(), nullable=True),
        sa.Column("about", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("shard", "idx"),
        sa.UniqueConstraint("shard", "tag", "n"),
        comment="canonical leaves; the other columns are copies for searching and are never believed",
    )
    op.create_index("ledger_leaves_about", "ledger_leaves", ["shard", "about", "idx"], unique=False)
    op.create_table(
        "ledger_published",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard"),
        comment="the latest signed checkpoint, replaced by compare-and-swap on its size",
    )
    op.create_table(
        "ledger_sealed",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "sha256"),
        comment="details sealed to the regulator, wrapped under an epoch key; sha256 is of the unwrapped blob",
    )
    op.create_index("ledger_sealed_leaf", "ledger_sealed", ["shard", "idx"], unique=False)
    op.create_table(
        "ledger_subjects",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("shard", "tag"),
        comment="the head of each person's chain",
    )


def _parties() -> None:
    """The installation itself, policies, published keys, institutions and operators."""
    op.create_table(
        "installation",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("decoy_consent", sa.Text(), nullable=False),
        sa.Column("decoy_subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("decoy_registrar", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("shard"),
    )
    op.create_table(
        "institutions",
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sector", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("institution"),
    )
    op.create_table(
        "operators",
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("operator"),
        sa.UniqueConstraint("kid"),
    )
    op.create_table(
        "policies",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "published_keys",
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("use", "kid"),
    )


def _persons() -> None:
    """Persons, their keys and records; everything personal encrypted."""
    op.create_table(
        "citizen_keys",
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
        sa.PrimaryKeyConstraint("kid_lookup"),
        sa.UniqueConstraint("about"),
        sa.UniqueConstraint("subject"),
    )
    op.create_table(
        "data_keys",
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("klass", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "klass", "version"),
    )
    op.create_table(
        "records",
        sa.Column("record", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("klass", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reference_lookup", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content_mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("revision_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("shown_until", sa.BigInteger(), nullable=True),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("record"),
        sa.UniqueConstraint("source", "reference_lookup"),
    )
    op.create_index("records_by_subject", "records", ["subject", "category"], unique=False)
    op.create_table(
        "subject_index",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("version", "value"),
    )
    op.create_table(
        "subjects",
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("tag_lookup", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("citizen_number", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("subject"),
        sa.UniqueConstraint("tag_lookup"),
    )


def _consents() -> None:
    """Requests, grants, query ids and nonces."""
    op.create_table(
        "consent_requests",
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("citizen_number", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("body_mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("lapses_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("request"),
        sa.UniqueConstraint("consent"),
    )
    op.create_index("consent_requests_by_tag", "consent_requests", ["tag"], unique=False)
    op.create_index("consent_requests_due", "consent_requests", ["state", "lapses_at"], unique=False)
    op.create_table(
        "grants",
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.Column("grant_index", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("changed_index", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("consent"),
    )
    op.create_index("grants_by_tag", "grants", ["tag"], unique=False)
    op.create_table(
        "queries",
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("institution", "query"),
    )
    op.create_table(
        "request_nonces",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "nonce"),
    )
    op.create_index("request_nonces_expiry", "request_nonces", ["expires"], unique=False)
