"""The gateway's error tree. Refusals are values and never stand here; what stands here stops the work.

GatewayError
├── NotReady            the gateway cannot serve yet or any more (no regulator, rolled back, locked)
├── LedgerUnavailable   the commit failed or its outcome is unknown: nothing was answered
├── EvidenceBroken      a stored row, document or MAC does not match what the ledger says of it
├── KeysMovedOn         what was prepared before the lock stands under keys rotated meanwhile
├── Undelivered         the entry is durable but the answer could not be made: `query.undelivered`
├── ReplayedNonce       a signed request was seen before: 401, no leaf
├── Rejected            a request that no leaf records; carries a problem name
│   └── MalformedBody   gateway.http.wire: its body does not parse; carries the member that is wrong
├── PolicyRefused       a bundle that may not replace the policy in force
├── ErasureRefused      gateway.erasure.refused: nobody, nothing, not yet, or a case that holds it
├── CopyRefused         gateway.copies: no such copy of custody, or one that is attested already
├── AddressRefused      gateway.events.addresses: a webhook may not lead there
├── SettingsError       gateway.config: a setting is unknown or unusable
├── MalformedMapping    gateway.records.mapping: contradicts itself or the catalogue
├── MalformedFile       gateway.records.table: a source's file is no CSV
├── SignatureRefused    gateway.http.profile: a request's signature is not of the one profile
├── UnknownKey          gateway.http.auth: the key that signed is registered for nobody
├── TooManyBadSignatures  gateway.http.flood: an address sent too many of them
├── DemoFailed          gateway.demo.failure: the story or the sandbox cannot go on
└── ClientError         gateway.client.errors: the importable clients' own tree
"""

from __future__ import annotations


class GatewayError(Exception):
    """Root of everything the gateway raises itself."""


class NotReady(GatewayError):
    """The gateway may not answer in this state; the message says what to do, `why` is a code for clients."""

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why


class LedgerUnavailable(GatewayError):
    """The ledger could not be written, or the outcome of the commit is unknown. Fail closed."""


class EvidenceBroken(GatewayError):
    """Stored evidence does not match: a row's MAC, a moved ciphertext, a proof that no longer verifies."""


class KeysMovedOn(GatewayError):
    """What was prepared before the lock stands under keys that a rotation has ended: prepare it again."""


class Undelivered(GatewayError):
    """The decision is in the ledger, the answer could not be delivered.

    `index` is the leaf of the decision, `undelivered` the leaf that says so.
    """

    def __init__(self, index: int, undelivered: int) -> None:
        super().__init__(f"the answer recorded at index {index} could not be delivered")
        self.index = index
        self.undelivered = undelivered


class ReplayedNonce(GatewayError):
    """The nonce of a signed request was used before by the same key."""


class PolicyRefused(GatewayError):
    """A policy bundle that may not replace the one in force; the message says why."""


class Rejected(GatewayError):
    """A request that is turned away without a leaf; `problem` names a row of the problem table."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(detail or problem)
        self.problem = problem
        self.detail = detail
