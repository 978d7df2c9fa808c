"""The audit ledger: a hash chain under an RFC 6962 tree, which not even its operator can quietly change.

Invariant: a leaf, once committed, never changes; every signed checkpoint covers every checkpoint signed
before it. `merkle`, `entries`, `checkpoint`, `tiles` and `proof` are pure or touch files only, and together
with `verify` need neither a database nor a secret. `tables` and `log` write through the caller's transaction
and never commit.
"""
