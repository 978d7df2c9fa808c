"""The one error root of this package. Refusals are values (`decision.Refuse`); only broken evidence raises.

    ConsentError
    ├── MalformedDocument     bytes that no formatter here would emit, or a document not its template's
    ├── BadProof              a signature that does not cover the document, or not by the subject's key
    ├── BadCertificate        an enrolment that the pinned registrar and two officers did not make
    ├── MalformedPolicy       a policy bundle that contradicts itself or its schema
    └── ForbiddenTransition   an event that the state of a consent does not allow

Messages name the rule that was broken, never a value: no names, numbers or identifiers stand in them.
"""

from __future__ import annotations


class ConsentError(Exception):
    """Root of everything that this package raises on purpose."""


class MalformedDocument(ConsentError):
    """A document is not in its one canonical form."""


class BadProof(ConsentError):
    """A proof does not show that this key signed this document."""


class BadCertificate(ConsentError):
    """An enrolment certificate does not bind this key to a person at this gateway."""


class MalformedPolicy(ConsentError):
    """A policy bundle cannot be used."""


class ForbiddenTransition(ConsentError):
    """A consent cannot go from its state by this event."""
