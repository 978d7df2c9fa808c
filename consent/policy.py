"""The policy bundle in force: purposes, catalogue, refusals, statutes; every leaf names its hash.

Invariant: a bundle is one value with one byte form (RFC 8785), and every name in it that must be defined is
defined. Purposes and categories that nobody has checked at their source are off unless the bundle is for
demonstration. Policy is data: TOML tables with the schema of the structs here. `statutes` is empty in this
version of the format, so a query under a statute is always refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from consent.catalogue import Category, Kind, Kinds, classify
from consent.errors import MalformedPolicy
from consent.purposes import Purpose, purpose_is_on
from keys.canonical import canonical, parse_canonical, sha256_hex
from keys.errors import KeysError

POLICY_TYPE = "chengxin/policy/v1"


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`request_days`: for how many days a consent request waits for its citizen before it lapses."""

    request_days: Annotated[int, Meta(ge=1, le=90)]


class PolicyBundle(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=POLICY_TYPE,
    dict=True,
):
    """One policy; `purposes` and `categories` are strictly ascending by code.

    Raises ValueError when it contradicts itself (a purpose permits what is not listed, a
    listed category is also refused).
    """

    demo: bool
    purposes: tuple[Purpose, ...]
    categories: tuple[Category, ...]
    kinds: Kinds
    statutes: Annotated[tuple[str, ...], Meta(max_length=0)]
    enrolment: Enrolment

    def __post_init__(self) -> None:
        _check_bundle(self)
        # Lookups for the hot path; derived, so no part of the value or of its hash.
        self.__dict__["purpose_by_code"] = MappingProxyType({p.code: p for p in self.purposes})
        self.__dict__["category_by_code"] = MappingProxyType({c.code: c for c in self.categories})

    def purpose(self, code: str) -> Purpose | None:
        """The purpose of that code, on or off; None when there is none."""
        found: Mapping[str, Purpose] = self.__dict__["purpose_by_code"]
        return found.get(code)

    def category(self, code: str) -> Category | None:
        """The category of that code, on or off; None when there is none."""
        found: Mapping[str, Category] = self.__dict__["category_by_code"]
        return found.get(code)

    def category_is_on(self, code: str) -> bool:
        """Listed, and checked at its source (or a bundle for demonstration)."""
        category = self.category(code)
        return category is not None and (category.checked or self.demo)

    def classify(self, kind: str) -> Kind:
        """Whether a kind of information may be collected, and if not, why."""
        return classify(kind, self.kinds, self.__dict__["category_by_code"])


def load_policy(texts: str | Iterable[str], *, demo: bool) -> PolicyBundle:
    """The bundle of TOML texts, each top-level table in one of them only. Raises MalformedPolicy."""
    tables: dict[str, Any] = {"type": POLICY_TYPE, "demo": demo, "statutes": []}
    for text in [texts] if isinstance(texts, str) else texts:
        try:
            read = tomllib.loads(text)
        except tomllib.TOMLDecodeError as refused:
            raise MalformedPolicy(f"not TOML: {refused}") from refused
        if read.keys() & tables.keys():
            raise MalformedPolicy("a table stands in two texts, or is not the text's to set")
        tables |= read
    return _bundle(tables)


@lru_cache(maxsize=2)
def default_policy(*, demo: bool) -> PolicyBundle:
    """The bundle that ships with this package (`policy_data/*.toml`). Raises MalformedPolicy."""
    folder = resources.files("consent").joinpath("policy_data")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return load_policy([f.read_text(encoding="utf-8") for f in files], demo=demo)


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


def _bundle(tables: Any) -> PolicyBundle:
    try:
        return msgspec.convert(tables, PolicyBundle)
    except msgspec.ValidationError as refused:
        # A policy holds no personal data: its author may read what is wrong.
        raise MalformedPolicy(str(refused)) from refused


def _check_bundle(bundle: PolicyBundle) -> None:
    kinds = bundle.kinds
    groups = [[r.code for r in group] for group in (kinds.forbidden, kinds.separate, kinds.judgement)]
    refused = [code for group in groups for code in group]
    listed = [c.code for c in bundle.categories]
    for codes in ([p.code for p in bundle.purposes], listed, *groups):
        if sorted(set(codes)) != codes:
            raise ValueError("entries are not sorted by code, or one stands twice")
    if len(set(refused)) != len(refused):
        raise ValueError("a kind of information is refused twice")
    if set(refused) & set(listed):
        raise ValueError("a category is listed and refused")
    for purpose in bundle.purposes:
        if not set(purpose.permitted) <= set(listed):
            raise ValueError("a purpose permits a category that is not listed")
