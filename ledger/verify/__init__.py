"""The auditor's verifier: from an exported log alone, whether everything in it was allowed.

Invariant: it needs no gateway, no database and no secret, and imports only `keys` and the pure modules of
`ledger`; a rule of the house that broke, or its operator who broke it, cannot make it look the other way.

Run it as `python -m ledger.verify DIR --vkey VKEY [--registrar ID=JWK-FILE]... [--regulator-key FILE]
[--json]`, or call `audit`. Rules are data: `chain.CHAIN` binds every leaf, `replay.REPLAY` each type,
`evidence.EVIDENCE` what was sealed.
"""

from __future__ import annotations

from ledger.verify.auditor import Summary, Trust, audit

__all__ = ["Summary", "Trust", "audit"]
