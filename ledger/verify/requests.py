"""What opened details of queries must prove: the request that was answered, refused or put to an approver.

Invariant: what was answered is what was asked, about the person whom the request names, under the consent or
statute and document that it names; what was approved is what had been put.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from keys.canonical import canonical, sha256
from ledger.bodies import QueryDisclosed, QueryPending, QueryPredicate, QueryRefused
from ledger.entries import Leaf
from ledger.verify import documents as d
from ledger.verify.consents import subject_of
from ledger.verify.details import Answered, Asked, Refused
from ledger.verify.forms import NoForm, fits
from ledger.verify.queries import answer_of
from ledger.verify.rules import Rule
from ledger.verify.state import World
from ledger.verify.statutes import misplaced

Given: TypeAlias = tuple[QueryDisclosed | QueryPredicate, Answered]
Put: TypeAlias = tuple[QueryPending, Asked]
Shown: TypeAlias = Given | Put
"""A body and its opened details, as the rules of a request take them."""

MAX_DOCUMENT = 64
"""Characters of a document's number at most."""


def _request_hash(_: Leaf, shown: Shown, __: World) -> str | None:
    body, held = shown
    same = d.request_hash(held.request_salt, held.request) == body.request
    return None if same else "the request is not the one that the leaf names"


def _request_members(_: Leaf, shown: Shown, world: World) -> str | None:
    body, held = shown
    request, asked = held.request, held.request.get("categories")
    if (request.get("query_id"), request.get("purpose")) != (body.query, body.purpose):
        return "the request has another id or purpose than the leaf"
    if request.get("answer") != answer_of(body):
        return "the request asked for another kind of answer"
    if not isinstance(asked, list) or any(category not in asked for category in body.categories):
        return "the leaf has a category that was not asked for"
    if body.statute is not None:
        return None if "consent_id" not in request else "the request named a consent beside its statute"
    consent_id = world.granted(body.grant).consent_id
    if consent_id and request.get("consent_id") != consent_id:
        return "the request named another consent"
    return None


def _request_statute(_: Leaf, shown: Shown, __: World) -> str | None:
    body, request = shown[0], shown[1].request
    if body.statute is None:
        return None if "statute" not in request else "the request named a statute"
    named = _statute(request)
    return None if named.get("code") == body.statute.code else "the request named another statute"


def _request_document(_: Leaf, shown: Shown, world: World) -> str | None:
    body, held = shown
    if body.statute is None or held.document_salt is None:
        same = (body.statute is None) == (held.document_salt is None)
        return None if same else "the salt of a document is there without one, or missing"
    number = _statute(held.request).get("document")
    if not isinstance(number, str) or d.document_hash(held.document_salt, number) != body.statute.document:
        return "the document is not the one that the leaf names"
    form = world.policy.statutes[body.statute.code].document
    try:
        of_form = len(number) <= MAX_DOCUMENT and fits(form, number)
    except NoForm:
        return "the policy's form of the document's number is no form"
    return None if of_form else "the document's number is not of the form that the statute asks for"


def _request_deferral(_: Leaf, shown: Put, __: World) -> str | None:
    body, held = shown
    asked = _statute(held.request).get("defer", False)
    return None if asked is (body.deferred_until is not None) else "the deferral is not as asked for"


def _request_waited(_: Leaf, shown: Given, world: World) -> str | None:
    body, held = shown
    pending = None if body.statute is None else world.pending[body.statute.pending]
    if pending is None or pending.request is None or pending.request == sha256(canonical(held.request)):
        return None
    return "the request is not the one that waited for its approval"


def _request_person(leaf: Leaf, shown: Shown, world: World) -> str | None:
    """Where the bank said whom it means, the certificate must have been made for that person: records of one
    person attached to the tag of another show here. Under a statute it always says so, and what is not
    deferred is under the tag of that person, if they have one.
    """
    body, request = shown[0], shown[1].request
    number, persons = _number(request), subject_of(leaf, world).persons
    if body.statute is None:
        if request.get("person_check") is None or not persons:
            return None
        same = number is not None and all(d.is_person(one, d.citizen_number(number)) for one in persons)
        return None if same else "the answer is about another person than the bank asked for"
    if number is None:
        return "the request under a statute names nobody"
    return None if subject_of(leaf, world).covert or _deferred(body) else misplaced(number, leaf, world)


def _revisions(_: Leaf, shown: Given, __: World) -> str | None:
    body, held = shown
    same = d.revision_commitment(held.revisions_salt, held.revisions) == body.commitment
    return None if same else "the records answered with are not those that the leaf commits to"


def _refused_request(_: Leaf, shown: tuple[QueryRefused, Refused], __: World) -> str | None:
    """A query, a request for consent or an approval; whatever it was, its id and purpose are the leaf's."""
    body, request = shown[0], shown[1].request
    for name, expected in (("query_id", body.query), ("request_id", body.query), ("purpose", body.purpose)):
        if request.get(name, expected) != expected:
            return "the request refused has another id or purpose than the leaf"
    return None


def _statute(request: dict[str, Any]) -> dict[str, Any]:
    """The statute that a request names; nothing where it names none."""
    named = request.get("statute")
    return named if isinstance(named, dict) else {}


def _number(request: dict[str, Any]) -> str | None:
    """The citizen number that a request names, in whatever spelling."""
    named = request.get("person_check")
    number = named.get("citizen_number") if isinstance(named, dict) else None
    return number if isinstance(number, str) else None


def _deferred(body: object) -> bool:
    return isinstance(body, QueryPending) and body.deferred_until is not None


REQUEST_HASH = Rule("request-hash", _request_hash)
REQUEST_MEMBERS = Rule("request-members", _request_members)
REQUEST_STATUTE = Rule("request-statute", _request_statute)
REQUEST_DOCUMENT = Rule("request-document", _request_document)
REQUEST_DEFERRAL = Rule("request-deferral", _request_deferral)
REQUEST_WAITED = Rule("request-waited", _request_waited)
REQUEST_PERSON = Rule("request-person", _request_person)
REVISIONS = Rule("revisions", _revisions)
REFUSED_REQUEST = Rule("refused-request", _refused_request)


def know_request(leaf: Leaf, shown: Put, world: World) -> None:
    """Remember what was put, for its answer, and whom it names, for the leaf that tells them."""
    request = shown[1].request
    world.pending[leaf.index].request = sha256(canonical(request))
    if leaf.index in world.deferred:
        world.deferred[leaf.index].number = _number(request)
