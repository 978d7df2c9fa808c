"""Every metric the gateway exports, in one place.

Invariant: labels are closed vocabularies, never an id, never a person. With several workers counters add up
(`gateway.scraping`), and of a gauge the greatest value counts: a log only grows.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter(
    "chengxin_decisions_total", "Decisions on queries and consent requests", ["kind", "decision", "reason"]
)
REQUESTS = Counter("chengxin_http_requests_total", "HTTP requests by route and status", ["route", "status"])
UNSIGNED = Counter("chengxin_signature_failures_total", "Requests whose signature was refused", ["problem"])
BATCH = Histogram(
    "chengxin_commit_batch_size", "Asks that shared one commit", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
LOCKED = Histogram(
    "chengxin_lock_held_seconds",
    "How long the head lock was held, commit included",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
EVIDENCE_BROKEN = Counter(
    "chengxin_evidence_broken_total", "Rows or documents that did not match the ledger", ["where"]
)
UNDELIVERED = Counter("chengxin_undelivered_total", "Answers recorded but not delivered")
HEAD = Gauge("chengxin_ledger_head_size", "Leaves committed", multiprocess_mode="max")
PUBLISHED = Gauge(
    "chengxin_ledger_published_size",
    "Leaves under the newest signed checkpoint",
    multiprocess_mode="max",
)
