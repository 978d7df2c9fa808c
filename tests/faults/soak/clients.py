"""The bank's clients: threads that ask as fast as they are answered, and ask again what went unanswered.

A request is signed some steps ahead of its being sent, never so far that its signature is stale; each
connection has one under way, which bounds the load. Some requests are sent a second time, byte for byte, as
somebody who recorded them would.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.client.evidence import Pins
from gateway.http.signature import TAG_INSTITUTION, sign_request
from keys.canonical import b64u, canonical, parse_canonical
from keys.signing import PrivateKey
from tests.faults.soak.book import Book, Sent

PATH: Final = "/v1/queries"
JSON: Final = "application/json"
AHEAD: Final = 8
ATTEMPTS: Final = 40
"""Of one query, a fresh signature each, before it is left for the end."""
REPLAYS: Final = 0.02
TIMEOUT_S: Final = 60.0
PAUSE_S: Final = 0.05
ENDED: Final = frozenset({"exhausted", "query-id-reused"})
"""What this load can be refused for: a consent's uses are used up, or were when the query was first refused.

Whose first refusal was lost is told of the id alone; the judge looks up that there was such a refusal.
"""


@dataclass(frozen=True)
class Bank:
    """Who asks: operator's key, what it pins, and where the gateway is."""

    url: str
    port: int
    key: PrivateKey
    pins: Pins


@dataclass(frozen=True)
class Signed:
    """A request ready to be sent."""

    nonce: str
    headers: dict[str, str]
    body: bytes


def sign(bank: Bank, sent: Sent) -> Signed:
    """The query, freshly signed; its nonce is written down."""
    body = canonical(
        {
            "query_id": sent.query,
            "consent_id": sent.consent,
            "purpose": "02",
            "categories": ["loan", "repayment"],
            "answer": "report",
        }
    )
    nonce = b64u(os.urandom(16))
    sent.nonces.append(nonce)
    headers = sign_request(
        "POST", bank.url + PATH, body, JSON, bank.key, int(time.time()), nonce, TAG_INSTITUTION
    )
    return Signed(nonce, headers, body)


class Client:
    """One connection; made anew when it breaks."""

    def __init__(self, bank: Bank, book: Book) -> None:
        self._bank = bank
        self._book = book
        self._http: http.client.HTTPConnection | None = None

    def send(self, signed: Signed) -> tuple[int, bytes] | None:
        """Status and body of the reply; None when there was none."""
        try:
            if self._http is None:
                self._http = http.client.HTTPConnection("127.0.0.1", self._bank.port, timeout=TIMEOUT_S)
            self._http.request("POST", PATH, signed.body, signed.headers)
            reply = self._http.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException) as error:
            self._book.count(f"no reply: {type(error).__name__}")
            self.close()
            return None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def hear(self, sent: Sent, signed: Signed, reply: tuple[int, bytes]) -> None:
        """Write down what a reply says. Whatever nobody can explain is written down as such."""
        status, data = reply
        try:
            said: dict[str, Any] = parse_canonical(data)
            if status == 200:
                receipt = self._bank.pins.disclosure(said["receipt"], sent.query, said["answer"]).receipt
                sent.served.append(signed.nonce)
                self._book.count(receipt.decision)
            else:
                name = str(said["type"]).rpartition(":")[2]
                self._book.count(f"{status} {name}")
                if "receipt" not in said:
                    self._explain(sent, status, name)
                    return
                receipt = self._bank.pins.refusal(said["receipt"], sent.query, name).receipt
                sent.refused = name
                if name not in ENDED:
                    self._book.wonder(f"query {sent.query} was refused: {name}")
        except Exception as error:  # noqa: BLE001  whatever it is, the run must say so and go on
            self._book.wonder(f"query {sent.query}: reply {status} {data[:200]!r}: {error!r}")
            return
        sent.receipts.append((receipt.index, receipt.leaf, receipt.decision))

    def _explain(self, sent: Sent, status: int, name: str) -> None:
        """What says plainly that nothing was answered is asked again; nothing else may come."""
        again = name == "replayed-nonce" and len(sent.nonces) > 0
        if status != 503 and not again:
            self._book.wonder(f"query {sent.query}: {status} {name}")


def asking(bank: Bank, book: Book, consents: list[str], seed: int, over: threading.Event) -> None:
    """One client's life: new queries until `over`, each asked until it is explained."""
    choose = random.Random(seed)
    client = Client(bank, book)
    queue: list[tuple[Sent, Signed]] = []
    for consent in _forever(choose, consents):
        if over.is_set():
            break
        sent = Sent(str(uuid.UUID(int=choose.getrandbits(128), version=4)), consent)
        queue.append((sent, sign(bank, sent)))
        if len(queue) < AHEAD:
            continue
        for one, signed in queue:
            book.begin(one)
            _ask(client, bank, book, one, signed, over)
            if choose.random() < REPLAYS:
                _replay(client, one, signed)
        queue.clear()
    client.close()


def _forever(choose: random.Random, consents: list[str]) -> Iterator[str]:
    while True:
        yield choose.choice(consents)


def _ask(client: Client, bank: Bank, book: Book, sent: Sent, signed: Signed, over: threading.Event) -> None:
    """Send until it is explained, or for now given up."""
    for _ in range(ATTEMPTS):
        reply = client.send(signed)
        if reply is not None:
            client.hear(sent, signed, reply)
        if sent.explained:
            return
        if over.wait(PAUSE_S):
            break
        signed = sign(bank, sent)
    book.leave_open(sent)


def _replay(client: Client, sent: Sent, signed: Signed) -> None:
    """The same bytes again: never served a second time."""
    reply = client.send(signed)
    if reply is not None:
        client.hear(sent, signed, reply)


def settle(bank: Bank, book: Book, end: float, meanwhile: Callable[[], None]) -> None:
    """Ask again whatever is open, until each is explained or it is `end` (monotonic)."""
    client = Client(bank, book)
    for sent in book.open:
        while not sent.explained and time.monotonic() < end:
            signed = sign(bank, sent)
            reply = client.send(signed)
            if reply is not None:
                client.hear(sent, signed, reply)
            if not sent.explained:
                meanwhile()
                time.sleep(PAUSE_S)
        if not sent.explained:
            book.wonder(f"query {sent.query} on consent {sent.consent} was never explained")
    client.close()
