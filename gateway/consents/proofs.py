"""Proofs on their way in: as they are sent, as they are kept, as an auditor is told of them.

Invariant: a JWS is kept as it came. Of a passkey's assertion the kept set is, with the relying party of now
and the person's own certified key, so that it can be verified again whatever changes in the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from consent.errors import BadProof
from consent.proof import Proof, format_proof
from consent.webauthn import Assertion, KeptProof, RelyingParty, keep
from gateway.consents.challenge import spend_challenge
from gateway.errors import Rejected
from gateway.people.citizens import key_named, keys_of, open_key
from gateway.people.subjects import Subject
from gateway.transaction import Transaction
from keys.canonical import parse_canonical
from keys.errors import KeysError
from keys.signing import PublicKey

if TYPE_CHECKING:
    from gateway.house import House

Sent = str | Assertion
"""A proof in a body: a compact JWS, or a passkey's assertion."""


def kept(house: House, sent: Sent, key: PublicKey) -> Proof:
    """What is verified and kept of a proof that should be by `key`. Checks nothing."""
    if isinstance(sent, str):
        return sent
    return keep(sent, RelyingParty(house.settings.rp_id, house.settings.webauthn_origins), key)


def by_key_of(
    tx: Transaction,
    subject: Subject,
    thumbprint: str,
    document: bytes,
    sent: Sent,
    verify: Callable[[bytes, Proof, PublicKey], None],
) -> tuple[Mapping[str, Any], Proof]:
    """The person's key that signed `document`, as its row, and what is kept of the proof.

    Whether that key acts (`gateway.people.citizens.acts`) is the caller's to ask, once it is known whether
    this was recorded before. `Rejected` (`bad-proof`).
    """
    row = key_named(tx.house, keys_of(tx.house, tx.conn, subject), thumbprint)
    if row is None:
        raise Rejected("bad-proof", "the document is not by a key of this person")
    key = open_key(subject.link, row)
    proof = kept(tx.house, sent, key)
    try:
        verify(document, proof, key)
    except (BadProof, KeysError) as error:
        raise Rejected("bad-proof", "the document's signature does not verify") from error
    return row, proof


def spend(tx: Transaction, proof: Proof, document: bytes) -> None:
    """Let a verified proof over `document` serve, once. `Rejected` (`challenge-gone`) when its time is over.

    A JWS has no challenge: its document carries a nonce of the citizen's, and serves once by what it does.
    """
    if isinstance(proof, KeptProof):
        spend_challenge(tx, proof.server_nonce, document)


def details(proof: Proof) -> Any:
    """A proof in a leaf's details: the JWS, or the kept set's JSON object (its document stands beside it)."""
    return parse_canonical(format_proof(proof).encode()) if isinstance(proof, KeptProof) else proof


def is_same(held: Proof, sent: Sent) -> bool:
    """Whether the proof that is held came of the one that was sent."""
    if isinstance(held, KeptProof):
        return isinstance(sent, Assertion) and held.is_of(sent)
    return held == sent
