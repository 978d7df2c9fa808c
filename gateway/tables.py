"""The gateway's own tables, beside the ledger's on one `MetaData`.

Invariant: nothing personal stands here in clear. Identifiers are keyed look-ups (`bytea`), values are
encrypted per field and bound to their place, and every row that a decision reads carries a MAC over itself
and the leaf that last changed it. Ledger-side rows (requests, grants, nonces, queries) are keyed by tag or by
an opaque id, never by subject id, so that erasing a subject cuts the thread between the two sides.
The types are the portable ones: the same schema runs on SQLite and PostgreSQL.

A column marked `LATER` came to a protected table after rows were protected without it: while it is null it is
in no MAC (`gateway.rows`).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from ledger.tables import metadata

LATER = {"later": True}

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
    # Of a key that is no longer in force: it counted from the first leaf on, to before the other.
    Column("since_index", BigInteger, info=LATER),
    Column("ended_index", BigInteger, info=LATER),
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
    Column("index_version", Integer),  # of tag_lookup; null is 1
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
    Index("data_keys_by_epoch", "epoch"),
)

citizen_keys = Table(
    "citizen_keys",
    metadata,
    Column("kid_lookup", LargeBinary(32), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False),
    Column("about", Text, nullable=False, unique=True),
    Column("registrar", Text, nullable=False),
    Column("jwk", LargeBinary, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("commitment_salt", LargeBinary, nullable=False),
    Column("effective", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    Column("index_version", Integer, info=LATER),  # of kid_lookup; null is 1
    Index("citizen_keys_by_subject", "subject"),
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
    Column("index_version", Integer, info=LATER),  # of reference_lookup; null is 1
    UniqueConstraint("source", "reference_lookup"),
    Index("records_by_subject", "subject", "category"),
    Index("records_due", "shown_until"),
)

holds = Table(
    "holds",
    metadata,
    Column("case", Text, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("tag", LargeBinary(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    Index("holds_by_tag", "tag"),
)

erasures = Table(
    "erasures",
    metadata,
    # What was shredded, by tag; `epoch` is the last one under which it could be read.
    Column("erasure", Text, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("tag", LargeBinary(16), nullable=False),
    Column("classes", Text, nullable=False),
    Column("authority", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("idx", BigInteger, nullable=False),
    # What is to be forgotten outside the database yet, sealed under the epoch's key; null once it was.
    Column("todo", LargeBinary),
    Index("erasures_by_epoch", "epoch"),
)

spent_certificates = Table(
    "spent_certificates",
    metadata,
    # Certificates of persons who were erased: enrolled again by the same one, they would be known again.
    Column("sha256", LargeBinary(32), primary_key=True),
)

custody_copies = Table(
    "custody_copies",
    metadata,
    # Copies of epoch keys that were made by `keys backup`, and which of them are attested as destroyed.
    Column("copy", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("epochs", Text, nullable=False),
    Column("made_index", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

events = Table(
    "events",
    metadata,
    # What an institution is told, numbered for it in the order of the ledger; `name` is an opaque id.
    Column("institution", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("institution", "kind", "name", "idx"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("institution", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("failing_since", BigInteger),
    Column("why", Text),
    Index("webhooks_due", "state", "next_at"),
)

expiries = Table(
    "expiries",
    metadata,
    # When each consent runs out that did not end before: an alarm clock, no decision reads it.
    Column("consent", Text, primary_key=True),
    Column("institution", Text, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Index("expiries_due", "not_after"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("subject", LargeBinary(16), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("address", LargeBinary, nullable=False),
    Column("language", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    # Notices to citizens that wait for a sender; what they say is a template's, nothing of theirs.
    Column("notice", LargeBinary(16), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False),
    Column("channel", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Index("outbox_due", "state", "next_at"),
    Index("outbox_by_subject", "subject"),
)

noticed = Table(
    "noticed",
    metadata,
    # How many leaves were looked at for what citizens are told of.
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
)
