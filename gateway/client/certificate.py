"""Checking a certificate of erasure offline, against an export of the log and the log's pinned key.

Invariant: nothing of the certificate counts but what the leaves say too: the erasure with its classes, count,
ground and epoch, then the end of that epoch, with every copy of its key attested as destroyed before it; and
the signature is by a key that the log itself published for receipts.
"""

from __future__ import annotations

from pathlib import Path

from consent.erased import ErasureCertificate, verify_erasure_certificate
from consent.errors import ConsentError
from gateway.client.errors import EvidenceFailed
from keys.errors import KeysError
from keys.jws import peek_kid
from keys.notes import Vkey
from keys.signing import PublicKey, parse_public_jwk
from ledger.bodies import KeyBackup, KeyEpoch, KeyPublished, KeyRotated, RecordErased
from ledger.entries import Leaf, parse_leaf
from ledger.errors import LedgerError
from ledger.verify.following import open_export
from ledger.verify.reader import Tree


def verify_certificate(token: str, export: Path, vkey: Vkey) -> ErasureCertificate:
    """The certificate, if the log exported to `export` bears it out; else EvidenceFailed, which says why."""
    try:
        checkpoint = open_export(export, vkey).checkpoint
        leaves = [(leaf, digest.hex()) for leaf, digest in _leaves(Tree(export, checkpoint))]
    except LedgerError as error:
        raise EvidenceFailed(f"the export is not in order: {error}") from error
    certificate = _signed(token, [leaf for leaf, _ in leaves])
    if certificate.log != checkpoint.origin:
        raise EvidenceFailed("the certificate is of another log")
    by_index = {leaf.index: (leaf, digest) for leaf, digest in leaves}
    _require_erasure(certificate, by_index)
    _require_end(certificate, by_index)
    _require_copies(certificate, [leaf for leaf, _ in leaves])
    return certificate


def _leaves(tree: Tree) -> list[tuple[Leaf, bytes]]:
    """The leaves that a certificate can rest on, each with its hash; all of them are read and hashed."""
    kept = ("key.", "record.erased")
    found = ((parse_leaf(data), digest) for _, data, digest in tree.leaves())
    return [(leaf, digest) for leaf, digest in found if leaf.type.startswith(kept)]


def _signed(token: str, leaves: list[Leaf]) -> ErasureCertificate:
    try:
        return verify_erasure_certificate(token, _receipt_key(leaves, peek_kid(token)))
    except (ConsentError, KeysError) as error:
        raise EvidenceFailed(f"the certificate does not hold: {error}") from error


def _receipt_key(leaves: list[Leaf], kid: str) -> PublicKey:
    for leaf in leaves:
        body = leaf.body
        if isinstance(body, KeyPublished) and (body.use, body.kid) == ("receipt", kid):
            return parse_public_jwk(body.public)
        if isinstance(body, KeyRotated) and (body.use, body.to) == ("receipt", kid):
            return parse_public_jwk(body.public)
    raise EvidenceFailed("the certificate is signed by a key that the log never published for receipts")


def _require_erasure(certificate: ErasureCertificate, leaves: dict[int, tuple[Leaf, str]]) -> None:
    leaf, digest = leaves.get(certificate.index, (None, ""))
    body = None if leaf is None else leaf.body
    if not isinstance(body, RecordErased) or digest != certificate.leaf:
        raise EvidenceFailed("the log has no such erasure where the certificate says")
    for member in ("erasure", "classes", "count", "authority", "epoch"):
        if getattr(body, member) != getattr(certificate, member):
            raise EvidenceFailed(f"the certificate and the log differ in {member}")


def _require_end(certificate: ErasureCertificate, leaves: dict[int, tuple[Leaf, str]]) -> None:
    leaf, digest = leaves.get(certificate.destroyed.index, (None, ""))
    body = None if leaf is None else leaf.body
    ended = {
        leaf.body.epoch
        for index, (leaf, _) in leaves.items()
        if index <= certificate.destroyed.index
        and isinstance(leaf.body, KeyEpoch)
        and leaf.body.event == "destroyed"
    }
    first = next((leaf.body.epoch for leaf, _ in leaves.values() if isinstance(leaf.body, KeyEpoch)), 1)
    last = isinstance(body, KeyEpoch) and body.event == "destroyed" and digest == certificate.destroyed.leaf
    if not last or not ended.issuperset(range(first, certificate.epoch + 1)):
        raise EvidenceFailed(
            "the log does not say that every epoch's key was destroyed by where the certificate says"
        )


def _require_copies(certificate: ErasureCertificate, leaves: list[Leaf]) -> None:
    before = [leaf.body for leaf in leaves if leaf.index < certificate.destroyed.index]
    backups = [body for body in before if isinstance(body, KeyBackup)]
    made = {body.copy for body in backups if body.event == "made" and min(body.epochs) <= certificate.epoch}
    gone = {body.copy for body in backups if body.event == "destroyed"}
    if tuple(sorted(made)) != certificate.copies or not made <= gone:
        raise EvidenceFailed(
            "copies of the epoch's key were made that the certificate, or nobody, speaks for"
        )
