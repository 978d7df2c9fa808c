"""How long a refusal takes, whomever it is about: `python -m tests.bench.indistinguishable`.

A bank that asks at random has three ways to be refused with `no-consent`, and a clock. Each kind is asked as
often, in one shuffled order over one connection, so that whatever the machine does meanwhile is done to all;
with them goes a fourth kind, queries that are answered, which the statistics must tell from the others if
they can tell anything.

Nothing here judges: that the three do the same work is tested by `tests/attacks/test_indistinguishable.py`.
What is measured are times, in milliseconds, and how far two samples of them lie apart:

    ks           Kolmogorov-Smirnov: the largest distance between the two distribution functions, 0 to 1
    ks_p         how likely one distribution gives a distance as large or larger (asymptotic)
    superiority  Mann-Whitney's U / (n m): how often the second takes longer than the first; 0.5 if neither
    mw_p         the same for that (normal approximation, without correction for ties)
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import socket
import statistics
import sys
import tempfile
import time
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from gateway.demo.people import Born, synthetic_people
from gateway.house import wall_clock
from gateway.http.signature import TAG_INSTITUTION, sign_request
from keys.canonical import b64u, canonical
from tests.bench.cluster import durable_postgres
from tests.bench.town import CATEGORIES, JSON, PURPOSE, Consented, Town, http_message, new_town

UNKNOWN: Final = "unknown person"
ABSENT: Final = "no consent"
ANOTHERS: Final = "wrong recipient"
ANSWERED: Final = "answered"
KINDS: Final = (UNKNOWN, ABSENT, ANOTHERS, ANSWERED)

WARM: Final = 40
TIMEOUT_S: Final = 30.0


def measure(town: Town, each: int = 1_000, seed: int = 1) -> dict[str, Any]:
    """Ask `each` times in each of the ways: medians, quartiles and statistics of every pair, plain data."""
    chance = random.Random(seed)
    asking = _Asking(town, chance)
    order = [kind for kind in KINDS for _ in range(each)]
    chance.shuffle(order)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with socket.create_connection(("127.0.0.1", town.port), TIMEOUT_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for kind in KINDS * (WARM // len(KINDS)):
            _exchange(sock, kind, asking.request(kind))
        for kind in order:  # signed one by one: under load, what is signed far ahead is stale when it is sent
            request = asking.request(kind)
            times[kind].append(1e3 * _exchange(sock, kind, request))
    return {
        "each": each,
        "seed": seed,
        "kinds": {kind: summary(sample) for kind, sample in times.items()},
        "pairs": [
            {"first": one, "second": other, "control": ANSWERED in (one, other)}
            | compare(times[one], times[other])
            for one, other in combinations(KINDS, 2)
        ],
    }


class _Asking:
    """Makes requests of one operator in the four ways; all of one length but those that are answered."""

    def __init__(self, town: Town, chance: random.Random) -> None:
        self._town, self._chance = town, chance
        self._operator = town.operators[0]
        self._own = [one for one in town.consented if one.bank == self._operator.bank]
        self._others = [one for one in town.consented if one.bank != self._operator.bank]
        known = {one.number for one in town.consented}
        born = [Born(30 + n % 30, date(2026, 1, 1)) for n in range(500)]
        invented = [one.citizen_number for one in synthetic_people(977, born)]
        self._unknown = [number for number in invented if number not in known]

    def request(self, kind: str) -> bytes:
        """The whole HTTP message, signed now."""
        number, consent = self._named(kind)
        body = canonical(
            {
                "query_id": str(uuid.uuid4()),
                "consent_id": consent,
                "purpose": PURPOSE,
                "categories": list(CATEGORIES),
                "answer": "report",
                "person_check": {"citizen_number": number},
            }
        )
        url, target = self._town.url, "/v1/queries"
        created, nonce = wall_clock() // 1000, b64u(os.urandom(16))
        signed = sign_request(
            "POST", url + target, body, JSON, self._operator.key, created, nonce, TAG_INSTITUTION
        )
        return http_message("POST", target, url.partition("//")[2], signed, body)

    def _named(self, kind: str) -> tuple[str, str]:
        """The number and the consent that such a request names."""
        if kind == UNKNOWN:
            return self._chance.choice(self._unknown), str(uuid.uuid4())
        if kind == ABSENT:
            return self._chance.choice(self._town.consented).number, str(uuid.uuid4())
        about: Consented = self._chance.choice(self._others if kind == ANOTHERS else self._own)
        return about.number, about.consent


def _exchange(sock: socket.socket, kind: str, request: bytes) -> float:
    """Seconds from sending to the last byte of the reply, which must be that of its kind."""
    begun = time.perf_counter()
    sock.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    [length] = [int(value) for name, _, value in lines if name == b"content-length"]
    while len(body) < length:
        body += _more(sock)
    seconds = time.perf_counter() - begun
    status = int(head[9:12])
    if (status, b"problem:no-consent" in body) != ((200, False) if kind == ANSWERED else (403, True)):
        raise RuntimeError(f"{kind}: a reply that is not its own: {status} {body[:200]!r}")
    return seconds


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(1 << 16)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data


# --- pure: what is said of samples ---


def summary(sample: Sequence[float]) -> dict[str, float]:
    """Number, median, quartiles and 99th percentile."""
    first, middle, third = statistics.quantiles(sample, n=4, method="inclusive")
    last = statistics.quantiles(sample, n=100, method="inclusive")[-1]
    return {"n": len(sample), "median_ms": middle, "q1_ms": first, "q3_ms": third, "p99_ms": last}


def compare(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """How far two samples lie apart, in the words of the module's docstring."""
    distance, superiority = ks_distance(first, second), mann_whitney(first, second)
    n, m = len(first), len(second)
    spread = math.sqrt((n + m + 1) / (12 * n * m))
    return {
        "median_difference_ms": statistics.median(second) - statistics.median(first),
        "ks": distance,
        "ks_p": _kolmogorov(distance * math.sqrt(n * m / (n + m))),
        "superiority": superiority,
        "mw_p": math.erfc(abs(superiority - 0.5) / spread / math.sqrt(2)),
    }


def ks_distance(first: Sequence[float], second: Sequence[float]) -> float:
    """The largest distance between the empirical distribution functions of two samples."""
    one, other = sorted(first), sorted(second)
    return max(
        abs(bisect_right(one, x) / len(one) - bisect_right(other, x) / len(other)) for x in {*one, *other}
    )


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """How often a value of the second sample is above one of the first; ties count half."""
    one = sorted(first)
    above = sum(bisect_left(one, x) + bisect_right(one, x) for x in second) / 2
    return above / (len(first) * len(second))


def _kolmogorov(x: float) -> float:
    """P(K > x) of Kolmogorov's distribution: 2 sum over k of (-1)^(k-1) exp(-2 k^2 x^2)."""
    if x < 0.2:  # 1 to within 1e-11, where the series converges slowly
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * sum(terms)))


def main() -> None:
    """Set up, measure, print JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.indistinguishable", description=__doc__)
    parser.add_argument("--each", type=int, default=1_000, help="requests of each kind")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="chengxin-bench-") as folder,
        durable_postgres() as postgres,
        new_town(postgres, Path(folder) / "home", asked.people) as town,
    ):
        json.dump(measure(town, asked.each, asked.seed), sys.stdout, indent=2)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
