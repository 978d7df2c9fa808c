"""The gateway's own tables, beside the ledger's on one `MetaData`.

Invariant: nothing personal stands here in clear. Identifiers are keyed look-ups (`bytea`), values are
encrypted per field and bound to their place, and every row that a decision reads carries a MAC over itself
and the leaf that last changed it. Ledger-side rows (requests, grants, nonces, queries) are keyed by tag or by
an opaque id, never by subject id, so that erasing a subject cuts the thread between the two sides.
The types are the portable ones: the same schema runs on SQLite and PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from ledger.tables import metadata

installation = Table(
    "installation",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("origin", Text, nullable=False),
    Column("decoy_consent", Text, nullable=False),
    Column("decoy_subject", LargeBinary(16), nullable=False),
    Column("decoy_registrar", Text, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("idx", BigInteger, nullable=False),
)

published_keys = Table(
    "published_keys",
    metadata,
    Column("use", Text, primary_key=True),
    Column("kid", Text, primary_key=True),
    Column("public", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

institutions = Table(
    "institutions",
    metadata,
    Column("institution", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("sector", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("until", BigInteger),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

operators = Table(
    "operators",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("institution", Text, nullable=False),
    Column("kid", Text, nullable=False, unique=True),
    Column("jwk", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("until", BigInteger),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

subjects = Table(
    "subjects",
    metadata,
    Column("subject", LargeBinary(16), primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("tag_lookup", LargeBinary(32), nullable=False, unique=True),
    Column("tag", LargeBinary, nullable=False),
    Column("citizen_number", LargeBinary, nullable=False),
    Column("name", LargeBinary),
)

subject_index = Table(
    "subject_index",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("value", LargeBinary(32), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False),
)

data_keys = Table(
    "data_keys",
    metadata,
    Column("subject", LargeBinary(16), primary_key=True),
    Column("klass", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)

citizen_keys = Table(
    "citizen_keys",
    metadata,
    Column("kid_lookup", LargeBinary(32), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False, unique=True),
    Column("about", Text, nullable=False, unique=True),
    Column("registrar", Text, nullable=False),
    Column("jwk", LargeBinary, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("commitment_salt", LargeBinary, nullable=False),
    Column("effective", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

consent_requests = Table(
    "consent_requests",
    metadata,
    Column("request", Text, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("tag", LargeBinary(16), nullable=False),
    Column("institution", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("consent", Text, nullable=False, unique=True),
    Column("purpose", Text, nullable=False),
    Column("categories", Text, nullable=False),
    Column("data_key", LargeBinary, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("citizen_number", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("body_mac", LargeBinary(32), nullable=False),
    Column("lapses_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    Index("consent_requests_by_tag", "tag"),
    Index("consent_requests_due", "state", "lapses_at"),
)

grants = Table(
    "grants",
    metadata,
    Column("consent", Text, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("tag", LargeBinary(16), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("grant_index", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    Index("grants_by_tag", "tag"),
)

queries = Table(
    "queries",
    metadata,
    Column("institution", Text, primary_key=True),
    Column("query", Text, primary_key=True),
    Column("idx", BigInteger, nullable=False),
    # For redelivery: MAC of the body, and the revisions that were given, sealed under the person's link key.
    Column("body_mac", LargeBinary(32)),
    Column("given", LargeBinary),
    Column("given_at", BigInteger),
    Index("queries_given", "given_at"),
)

pending_queries = Table(
    "pending_queries",
    metadata,
    Column("institution", Text, primary_key=True),
    Column("query", Text, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("tag", LargeBinary(16), nullable=False),
    Column("operator", Text, nullable=False),
    Column("statute", Text, nullable=False),
    Column("data_key", LargeBinary, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("lapses_at", BigInteger, nullable=False),
    Column("deferred_until", BigInteger),
    Column("pending_index", BigInteger, nullable=False),
    Column("answer_index", BigInteger),
    Column("unsealed_index", BigInteger),
    Column("state", Text, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    Index("pending_queries_due", "state", "lapses_at"),
    Index("pending_queries_deferred", "deferred_until"),
)

quota_counts = Table(
    "quota_counts",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("per", Text, primary_key=True),
    Column("window", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

throttled = Table(
    "throttled",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)

webauthn_challenges = Table(
    "webauthn_challenges",
    metadata,
    # The spent ones only: a nonce carries its own proof until it serves (gateway.consents.challenge).
    Column("nonce", LargeBinary(32), primary_key=True),
    Column("document", LargeBinary(32), nullable=False),
    Column("expires", BigInteger, nullable=False),
    Index("webauthn_challenges_expiry", "expires"),
)

request_nonces = Table(
    "request_nonces",
    metadata,
    Column("key", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("expires", BigInteger, nullable=False),
    Index("request_nonces_expiry", "expires"),
)

records = Table(
    "records",
    metadata,
    Column("record", LargeBinary(16), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False),
    Column("category", Text, nullable=False),
    Column("klass", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("reference_lookup", LargeBinary(32), nullable=False),
    Column("content_mac", LargeBinary(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("revision_hash", LargeBinary(32), nullable=False),
    Column("shown_until", BigInteger),
    Column("idx", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    UniqueConstraint("source", "reference_lookup"),
    Index("records_by_subject", "subject", "category"),
)
