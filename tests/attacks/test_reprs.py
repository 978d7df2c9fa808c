"""Attack: make the gateway print a value, and read the person in it.

Whatever is logged, shown in a traceback with its variables, or put into a message by mistake is a repr or a
str. None of those of the values that hold a person's name, number, records or keys may show them.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Iterable
from datetime import date
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.pretty import pretty_repr

from consent.document import Withdrawal
from consent.enrolment import parse_certificate, verify_certificate
from gateway.client import bank
from gateway.client.reply import Signed
from gateway.consents import bodies
from gateway.demo.applicants import Applicant
from gateway.demo.people import Person as Invented
from gateway.keyring import DataKey
from gateway.query import answer, minimise, predicates, request
from gateway.records.about import About
from gateway.records.rows import Record
from gateway.records.store import Revisions
from gateway.records.table import Row, read_table
from gateway.sealing import SealingKey
from gateway.transaction import Nonce
from keys.blind import canonical_citizen_number, canonical_uscc
from keys.canonical import b64u
from keys.errors import BadIdentifier, Malformed
from keys.instant import parse_instant
from keys.signing import generate_key, parse_public_jwk, private_jwk
from keys.values import Value
from tests.attacks.haystack import Searcher
from tests.gateway.world import fresh_key, new_registrar

ORIGIN = "credit.example.cn/log0"
NAME, NUMBER, VALUE = "欧阳测试", "990001199001010021", "CANARY0CANARY016"
UUID = "00000000-0000-4000-8000-000000000000"
DAY = date(2026, 1, 2)
TERMS: dict[str, Any] = {"purpose": "02", "categories": ("loan",), "answer": "report"}
SIGNER = request.Signer("op-0", "bank", Nonce("key", "nonce", 0))


def _query(**members: Any) -> request.Query:
    return request.Query(query_id=UUID, consent_id=UUID, **TERMS, **members)


def _ask() -> request.Ask:
    person = request.Person(NUMBER, NAME)
    found = request.Found(b"", b"", UUID, None, b"", 0, None, False, None)
    members = {"person_check": {"citizen_number": NUMBER, "name": NAME}}
    sealed = request.Request("", {"request": members})
    told = request.Committed(b"", (), "", {"request": members})
    return request.Ask(
        _query(person_check=person, case_ref=VALUE), SIGNER, found, b"", sealed, told, None, Revisions()
    )


def _asked() -> bodies.ConsentRequest:
    return bodies.ConsentRequest(
        request_id=UUID,
        person=request.Person(NUMBER, NAME),
        not_before="2026-11-21T08:00:00.000Z",
        not_after="2026-11-22T08:00:00.000Z",
        max_uses=1,
        retention_days=1,
        language="zh-CN",
        case_ref=VALUE,
        **TERMS,
    )


def _values() -> Iterable[Any]:
    fields = {"employer": VALUE}
    yield request.Person(NUMBER, NAME)
    yield _query(person_check=request.Person(NUMBER, NAME), case_ref=VALUE)
    yield _ask()
    yield _asked()
    yield bodies.Enrol(citizen_number=NUMBER, certificate={"name": NAME})
    yield bodies.Grant(document={"name": NAME}, proof=VALUE, certificate={"number": NUMBER})
    yield bodies.Withdraw(document={"reason": NAME + NUMBER}, proof=VALUE)
    yield Record(1, NUMBER, NAME, "loan", "source", VALUE, DAY, DAY, DAY, True, fields)
    yield About(NUMBER, NAME, VALUE, DAY, None, None)
    yield Row(1, (NUMBER, NAME, VALUE))
    yield minimise.Record("loan", {"fields": fields, "name": NAME, "number": NUMBER}, None)
    yield answer.Answer({"records": {"loan": [fields | {"n": NUMBER, "name": NAME}]}}, "receipt")
    yield answer.Answer({"answer": VALUE}, "receipt", NAME + NUMBER)
    yield predicates.Fact("loan", DAY, fields | {"n": NUMBER, "name": NAME}, False, False, False, None)
    yield request.Statute("civil-procedure-253", VALUE + NUMBER)
    yield Invented(NUMBER, NAME)
    yield Applicant(Invented(NUMBER, NAME), "reference", DAY, None, DAY)
    yield bank.Person(NUMBER, NAME)
    yield Withdrawal(
        consent_id=UUID,
        gateway=ORIGIN,
        subject=fresh_key().kid,
        reason=NAME + NUMBER + VALUE,
        nonce=b64u(bytes(16)),
    )


@pytest.mark.parametrize(
    "value", list(_values()), ids=lambda value: f"{type(value).__module__}.{type(value).__name__}"
)
def test_no_repr_shows_a_person(value: Any) -> None:
    nested = [value, {"value": value}, (value,)]
    shown = [repr(value), str(value), f"{value}", f"{nested!r}", pretty_repr(nested)]
    searcher = Searcher([NAME, NUMBER, VALUE])
    assert searcher.search({"repr": "\n".join(shown).encode()}) == set()


def test_every_body_of_a_request_hides_its_members() -> None:
    """A body that is added one day is hidden by what it is made of."""
    shapes = [
        shape
        for module in (request, bodies)
        for shape in vars(module).values()
        if isinstance(shape, type) and issubclass(shape, msgspec.Struct)
    ]
    assert len(shapes) >= 7
    for shape in [one for one in shapes if one.__module__ in (request.__name__, bodies.__name__)]:
        assert shape.__repr__ is Value.__repr__
        assert shape.__rich_repr__ is Value.__rich_repr__


def test_no_repr_shows_what_a_citizen_number_can_be_tried_against() -> None:
    """Whoever has the salt and the hash of a certificate finds the number in an afternoon."""
    registrar, at = new_registrar(), 1_795_248_000_000
    certificate = parse_certificate(registrar.certify(ORIGIN, NUMBER, fresh_key(), at))
    verified = verify_certificate(certificate, parse_public_jwk(registrar.key.jwk), ORIGIN, at)
    assert verified.is_of(NUMBER)
    salt = certificate.enrolment.salt
    for value in (certificate, certificate.enrolment, verified):
        assert salt not in repr(value)
        assert repr(verified.salt) not in repr(value)


def test_no_repr_shows_a_secret_key() -> None:
    secret = b"a secret of thirty-two bytes ...".ljust(32)
    key = generate_key("Ed25519", lambda size: secret[:size])
    values = (DataKey(b"subject", secret, 1, lambda _: b""), SealingKey("id", secret, 1, ()), key)
    shown = "\n".join(f"{value!r} {value}" for value in values)
    searcher = Searcher([secret.decode(), private_jwk(key)["d"]])
    assert searcher.search({"repr": shown.encode()}) == set()


def _fails() -> Iterable[Any]:
    certificate = new_registrar().certify(ORIGIN, NUMBER, fresh_key(), 1_795_248_000_000)
    yield lambda: canonical_citizen_number(NUMBER[:-1] + "Z" + NAME), BadIdentifier
    yield lambda: canonical_citizen_number(NUMBER[:10] + "1340" + NUMBER[14:]), BadIdentifier
    yield lambda: canonical_uscc(NUMBER + NAME), BadIdentifier
    yield lambda: parse_instant(NUMBER + NAME), Malformed
    yield (
        lambda: parse_certificate(certificate.replace(b'"person":"', f'"person":"{NUMBER}'.encode())),
        Exception,
    )
    yield lambda: parse_certificate(certificate[:-1] + f',"{NUMBER}":"{NAME}"}}'.encode()), Exception
    yield lambda: list(read_table(io.StringIO(f'h\n"{NUMBER},{NAME}" {VALUE}\n')).rows), Exception


@pytest.mark.parametrize(("fail", "kind"), list(_fails()))
def test_no_exception_shows_a_person(fail: Any, kind: type[Exception]) -> None:
    """Neither its own message nor that of what caused it."""
    with pytest.raises(kind) as caught:
        fail()
    error: BaseException | None = caught.value
    shown = []
    while error is not None:
        shown += [str(error), repr(error), *traceback.format_exception_only(error)]
        error = error.__cause__ or error.__context__
    searcher = Searcher([NAME, NUMBER, VALUE])
    assert searcher.search({"error": "\n".join(shown).encode()}) == set()


def test_a_careless_repr_would_be_found() -> None:
    class Careless(msgspec.Struct):
        name: str
        number: str

    console = Console(file=io.StringIO(), width=200)
    console.print(Careless(NAME, NUMBER), Signed("token", Careless(VALUE, "")))  # type: ignore[arg-type]  # any value
    printed = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    hits = Searcher([NAME, NUMBER, VALUE]).search({"repr": printed.encode()})
    assert {hit.word for hit in hits} == {NAME, NUMBER, VALUE}
