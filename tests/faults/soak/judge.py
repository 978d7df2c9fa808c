"""In the end: everything that the clients wrote down, held against the log.

Each check names what would be wrong; what it finds is a line of the report. Nothing is left to one reader:
the rows, the receipts and an auditor with an export and every checkpoint that was seen all have to agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.export import export_ledger
from gateway.publishing import publish
from gateway.signers import log_keys
from keys.errors import KeysError
from ledger.entries import Leaf
from ledger.errors import Finding, LedgerError
from ledger.publish import read_published
from ledger.verify.auditor import Trust, audit
from tests.faults.soak.book import Book
from tests.gateway import kit
from tests.gateway.world import World

USED = "exhausted"


@dataclass(frozen=True)
class Log:
    """The log as it stands: (hash, leaf) by index."""

    entries: list[tuple[str, Leaf]]

    def query_of(self, leaf: Leaf) -> str | None:
        """The query that an entry is of; a redelivery names the entry of the first answer."""
        first = self.entries[leaf.body.of][1] if leaf.type == "query.redelivered" else leaf
        return getattr(first.body, "query", None)


def read_log(world: World) -> Log:
    """Every entry, out of the rows."""
    hashes = kit.insider(world.house, "SELECT leaf_hash FROM ledger_leaves ORDER BY idx")
    leaves = kit.leaves(world.house)
    return Log([(bytes(row[0]).hex(), leaf) for row, leaf in zip(hashes, leaves, strict=True)])


def receipts_wrong(book: Book, log: Log) -> Iterator[str]:
    """Every receipt that anybody got has its leaf, of its kind, of its query."""
    kinds = {"disclosed": "query.disclosed", "redelivered": "query.redelivered", "refused": "query.refused"}
    for sent in book.queries:
        for index, leaf_hash, decision in sent.receipts:
            if index >= len(log.entries):
                yield f"receipt of query {sent.query}: the log has no entry {index}"
                continue
            found, leaf = log.entries[index]
            if found != leaf_hash or leaf.type != kinds[decision] or log.query_of(leaf) != sent.query:
                yield f"receipt of query {sent.query}: entry {index} is another ({leaf.type})"


def refusals_wrong(book: Book, log: Log) -> Iterator[str]:
    """Who was told that an id was used had been refused under it before; an answer would be given again."""
    refused = {
        leaf.body.query
        for _, leaf in log.entries
        if leaf.type == "query.refused" and leaf.body.reason == USED
    }
    for sent in book.queries:
        if sent.refused == "query-id-reused" and sent.query not in refused:
            yield f"query {sent.query}: its id was used, and nothing says for what"


def nonces_wrong(book: Book) -> Iterator[str]:
    """No signed request was served twice."""
    for sent in book.queries:
        for nonce, times in Counter(sent.served).items():
            if times > 1:
                yield f"query {sent.query}: one signed request was served {times} times ({nonce})"


def answers_wrong(book: Book, log: Log, allowed: dict[str, int], world: World) -> Iterator[str]:
    """No consent was used more often than it allows, no query disclosed twice, nothing that nobody asked."""
    rows = kit.insider(world.house, "SELECT grant_index, consent, uses FROM grants")
    consents = {index: (consent, uses) for index, consent, uses in rows}
    disclosed = [leaf for _, leaf in log.entries if leaf.type == "query.disclosed"]
    used = Counter(leaf.body.grant for leaf in disclosed)
    for grant, times in used.items():
        consent, uses = consents[grant]
        if consent in allowed and (times > allowed[consent] or times != uses):
            yield f"consent {consent}: {times} answers, {uses} counted, {allowed[consent]} allowed"
    asked = {sent.query for sent in book.queries}
    for query, times in Counter(leaf.body.query for leaf in disclosed).items():
        if times > 1:
            yield f"query {query} took {times} uses"
        if query not in asked:
            yield f"query {query} stands in the log, and nobody asked it"


def audit_wrong(world: World, trust: Trust, folder: Path) -> Iterator[str]:
    """What an auditor finds who has an export, every checkpoint that was seen, and the keys."""
    house = world.house
    publish(house)
    with house.read() as conn:
        published = read_published(conn, house.shard, log_keys(house, conn))
    if published is None or published.checkpoint.size != kit.size(house):
        yield "what was committed is not published"
        return
    if not export_ledger(house, published, folder).intact:
        yield "the export is not intact"
    try:
        audit(folder, trust)
    except (Finding, LedgerError, KeysError) as error:
        yield f"the auditor: {error!r}"


def rows_wrong(world: World, halves: dict[str, str]) -> Iterator[str]:
    """What is half stored."""
    for what, wrong in halves.items():
        found: list[Any] = kit.insider(world.house, wrong)
        if found:
            yield f"{what}: {len(found)} rows"
