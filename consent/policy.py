"""The policy bundle in force: purposes, catalogue, refusals, statutes, predicates, quotas, terms.

Invariant: a bundle is one value with one byte form (RFC 8785) whose hash stands in every leaf, and every name
in it that must be defined is defined (`consent.policy_checks`). What nobody has checked at its source is off
unless the bundle is for demonstration. Policy is data: TOML tables with the schema of the structs here. A
member that came later is optional and left out at its default, so that a bundle from before keeps its bytes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from consent.catalogue import Category, Kind, Kinds, classify
from consent.errors import MalformedPolicy
from consent.policy_checks import contradictions
from consent.predicates import PredicateRule, predicate_name
from consent.purposes import Purpose, purpose_is_on
from consent.quotas import Quota, quotas_for
from consent.statutes import Statute
from keys.canonical import canonical, parse_canonical, sha256_hex
from keys.errors import KeysError
from keys.instant import HOUR

POLICY_TYPE = "chengxin/policy/v1"

Assurance = Literal["in-person", "eid", "guardian"]
Ground = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}\Z")]
TERM_EXPIRED = "term-expired"
"""The ground on which what is past its display term is erased (CIR art. 16)."""
ERASURE_GROUNDS = ("consent-withdrawn", "demanded", "order", "purpose-met", TERM_EXPIRED, "unlawful")
_Hours = Annotated[int, Meta(ge=1, le=24 * 30)]


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Waiting times around a key and what it is asked.

    `request_days`: for how many days a consent request waits for its citizen before it lapses. `waits`: hours
    from proofing to a key's first act, by how the person was proofed; none where it is not named.
    `second_key_hours`: the same for a person who has a key already, and so time to object.
    """

    request_days: Annotated[int, Meta(ge=1, le=90)]
    waits: dict[Assurance, _Hours] = {}
    second_key_hours: _Hours = 72

    def wait_ms(self, assurance: str, *, second: bool) -> int:
        """The least time (ms) from a certificate's `at` to its `effective`; `second`: another key is live."""
        hours: Mapping[str, int] = self.waits  # type: ignore[assignment]  # read by any string
        return max(hours.get(assurance, 0), self.second_key_hours if second else 0) * HOUR


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long an answer can be had again, and a statutory query waits for its approver; hours.

    `erasure_grounds`: on which grounds records are erased, strictly ascending (PIPL art. 47: the purpose is
    met, the term is over, consent was withdrawn, the person demands it, it was unlawful, or it is ordered).
    """

    redelivery_hours: Annotated[int, Meta(ge=1, le=24 * 7)] = 24
    approval_hours: Annotated[int, Meta(ge=1, le=24 * 7)] = 24
    erasure_grounds: Annotated[tuple[Ground, ...], Meta(min_length=1, max_length=32)] = ERASURE_GROUNDS

    def __post_init__(self) -> None:
        if any(first >= second for first, second in pairwise(self.erasure_grounds)):
            raise ValueError("erasure_grounds: not sorted, or with duplicates")


_RETENTION = Retention()


class PolicyBundle(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    tag=POLICY_TYPE,
    dict=True,
):
    """One policy; every table is strictly ascending by its code, name or key.

    Raises ValueError when it contradicts itself: `consent.policy_checks` says in what.
    """

    demo: bool
    purposes: tuple[Purpose, ...]
    categories: tuple[Category, ...]
    kinds: Kinds
    statutes: tuple[Statute, ...]
    enrolment: Enrolment
    predicates: tuple[PredicateRule, ...] = ()
    quotas: tuple[Quota, ...] = ()
    retention: Retention = _RETENTION

    def __post_init__(self) -> None:
        for place, message in contradictions(self):
            raise ValueError(f"{place}: {message}")
        if self.retention == _RETENTION:
            # A default is left out by identity: one value must not have two byte forms.
            msgspec.structs.force_setattr(self, "retention", _RETENTION)
        # Lookups for the hot path; derived, so no part of the value or of its hash.
        self.__dict__["purpose_by_code"] = MappingProxyType({p.code: p for p in self.purposes})
        self.__dict__["category_by_code"] = MappingProxyType({c.code: c for c in self.categories})
        self.__dict__["statute_by_code"] = MappingProxyType({s.code: s for s in self.statutes})
        self.__dict__["rule_by_name"] = MappingProxyType({p.name: p for p in self.predicates})

    def purpose(self, code: str) -> Purpose | None:
        """The purpose of that code, on or off; None when there is none."""
        found: Mapping[str, Purpose] = self.__dict__["purpose_by_code"]
        return found.get(code)

    def category(self, code: str) -> Category | None:
        """The category of that code, on or off; None when there is none."""
        found: Mapping[str, Category] = self.__dict__["category_by_code"]
        return found.get(code)

    def statute(self, code: str) -> Statute | None:
        """The statute of that code, on or off; None when there is none."""
        found: Mapping[str, Statute] = self.__dict__["statute_by_code"]
        return found.get(code)

    def predicate(self, name: str) -> PredicateRule | None:
        """The rule of that name (without `predicate:`), on or off; None when there is none."""
        found: Mapping[str, PredicateRule] = self.__dict__["rule_by_name"]
        return found.get(name)

    def category_is_on(self, code: str) -> bool:
        """Listed, and checked at its source (or a bundle for demonstration)."""
        return self._is_on(self.category(code))

    def statute_is_on(self, code: str) -> bool:
        """Listed, and checked at its source (or a bundle for demonstration)."""
        return self._is_on(self.statute(code))

    def predicate_is_on(self, name: str) -> bool:
        """Stated, and checked against its basis (or a bundle for demonstration)."""
        return self._is_on(self.predicate(name))

    def _is_on(self, row: Category | Statute | PredicateRule | None) -> bool:
        return row is not None and (row.checked or self.demo)

    def needed(self, code: str, answer: str) -> tuple[str, ...]:
        """Categories without which an answer of this form cannot be given for the purpose of that code.

        A predicate needs all that its rule reads; () where purpose or rule do not exist.
        """
        name, purpose = predicate_name(answer), self.purpose(code)
        if purpose is None:
            return ()
        if name is None:
            return purpose.necessary
        rule = self.predicate(name)
        return () if rule is None else rule.categories

    def quotas_for(self, institution: str, operator: str, purpose: str) -> tuple[tuple[Quota, str], ...]:
        """The quotas that an ask counts against, each with the name it is counted under."""
        return quotas_for(self.quotas, institution, operator, purpose)

    def classify(self, kind: str) -> Kind:
        """Whether a kind of information may be collected, and if not, why."""
        return classify(kind, self.kinds, self.__dict__["category_by_code"])


def load_policy(texts: str | Iterable[str], *, demo: bool) -> PolicyBundle:
    """The bundle of TOML texts, each top-level table in one of them only. Raises MalformedPolicy."""
    return _bundle({"statutes": []} | read_tables(texts, demo=demo))


def read_tables(texts: str | Iterable[str], *, demo: bool) -> dict[str, Any]:
    """The tables of TOML texts as one, unchecked but for that. Raises MalformedPolicy."""
    tables: dict[str, Any] = {"type": POLICY_TYPE, "demo": demo}
    for text in [texts] if isinstance(texts, str) else texts:
        try:
            read = tomllib.loads(text)
        except (ValueError, RecursionError) as refused:  # tomllib's own, or a long integer, or deep nesting
            raise MalformedPolicy(f"not TOML: {refused}") from refused
        if read.keys() & tables.keys():
            raise MalformedPolicy("a table stands in two texts, or is not the text's to set")
        tables |= read
    return tables


@lru_cache(maxsize=2)
def default_policy(*, demo: bool) -> PolicyBundle:
    """The bundle that ships with this package (`policy_data/*.toml`). Raises MalformedPolicy."""
    return load_policy(default_texts().values(), demo=demo)


def default_texts() -> dict[str, str]:
    """The TOML texts of the bundle that ships with this package, by file name, in order."""
    folder = resources.files("consent").joinpath("policy_data")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name: f.read_text(encoding="utf-8") for f in files}


def format_policy(bundle: PolicyBundle) -> bytes:
    """JCS bytes: what `policy/<hash>.json` holds. Raises MalformedPolicy for what no parser would accept."""
    members = msgspec.to_builtins(bundle)
    _bundle(members)
    return canonical(members)


def parse_policy(data: bytes) -> PolicyBundle:
    """The bundle of these bytes. Raises MalformedPolicy for anything that `format_policy` would not emit."""
    try:
        members = parse_canonical(data)
    except KeysError as refused:
        raise MalformedPolicy("not canonical JSON") from refused
    bundle = _bundle(members)
    if format_policy(bundle) != data:
        raise MalformedPolicy("not in its one form")
    return bundle


def policy_hash(bundle: PolicyBundle) -> str:
    """Hex SHA-256 of JCS(bundle): the `policy` member of a leaf."""
    # Computed once a bundle: it stands in every leaf.
    known: str | None = bundle.__dict__.get("hash")
    if known is None:
        known = bundle.__dict__["hash"] = sha256_hex(format_policy(bundle))
    return known


def purposes_off(bundle: PolicyBundle) -> tuple[Purpose, ...]:
    """The purposes that are listed and cannot be used, in order: what `serve` names as off."""
    return tuple(p for p in bundle.purposes if not purpose_is_on(bundle, p.code))


def categories_off(bundle: PolicyBundle) -> tuple[Category, ...]:
    """The categories that are listed and cannot be used, in order."""
    return tuple(c for c in bundle.categories if not bundle.category_is_on(c.code))


def statutes_off(bundle: PolicyBundle) -> tuple[Statute, ...]:
    """The statutes that are listed and cannot be used, in order."""
    return tuple(s for s in bundle.statutes if not bundle.statute_is_on(s.code))


def predicates_off(bundle: PolicyBundle) -> tuple[PredicateRule, ...]:
    """The predicates that are stated and cannot be used, in order."""
    return tuple(p for p in bundle.predicates if not bundle.predicate_is_on(p.name))


def policy_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the TOML tables, for editors; `type` and `demo` are not a text's to set."""
    schema = msgspec.json.schema(PolicyBundle)
    definition = schema["$defs"]["PolicyBundle"]
    for name in ("type", "demo"):
        definition["properties"].pop(name)
        definition["required"].remove(name)
    # A text may leave the table of statutes out: the bundle then says that it has none.
    definition["required"].remove("statutes")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _bundle(tables: Any) -> PolicyBundle:
    try:
        return msgspec.convert(tables, PolicyBundle)
    except msgspec.ValidationError as refused:
        # A policy holds no personal data: its author may read what is wrong.
        raise MalformedPolicy(str(refused)) from refused
