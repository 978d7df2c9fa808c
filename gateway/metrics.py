"""Every metric the gateway exports, in one place.

Invariant: labels are closed vocabularies, never an id, never a person. With several workers counters add up
(`gateway.scraping`), and of a gauge the greatest value counts: a log only grows. Of readiness
the latest does.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter(
    "chengxin_decisions_total", "Decisions on queries and consent requests", ["kind", "decision", "reason"]
)
decisions = cache(DECISIONS.labels)
"""The counter of one kind, decision and reason: found once, for that costs more than counting."""
REQUESTS = Counter("chengxin_http_requests_total", "HTTP requests by route and status", ["route", "status"])
SECONDS = Histogram(
    "chengxin_http_request_seconds",
    "How long requests took, by route",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
requests, seconds = cache(REQUESTS.labels), cache(SECONDS.labels)
"""The same of one route, and status."""
UNSIGNED = Counter("chengxin_signature_failures_total", "Requests whose signature was refused", ["problem"])
BATCH = Histogram(
    "chengxin_commit_batch_size", "Asks that shared one commit", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
LOCKED = Histogram(
    "chengxin_lock_held_seconds",
    "How long the head lock was held after what is read with it, commit included",
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
PUBLISH_FAILED = Counter("chengxin_publish_failures_total", "Checkpoints that could not be published")
READY = Gauge(
    "chengxin_ready", "1 if a request would be served, asked at each scrape", multiprocess_mode="mostrecent"
)
BACKED_UP = Gauge(
    "chengxin_backup_timestamp_seconds",
    "When the last backup was whole, in seconds since 1970; 0 if there never was one",
    multiprocess_mode="max",
)
EVENTS = Counter("chengxin_events_total", "What institutions were told of", ["kind"])
DELIVERIES = Counter("chengxin_webhook_deliveries_total", "Events sent to webhooks, by outcome", ["outcome"])
WEBHOOKS = Gauge("chengxin_webhooks", "Webhooks by state", ["state"], multiprocess_mode="mostrecent")
NOTICES = Counter(
    "chengxin_notices_total", "Notices to citizens, by channel and outcome", ["channel", "outcome"]
)
OUTBOX = Gauge(
    "chengxin_outbox_notices",
    "Notices that wait, or were given up",
    ["state"],
    multiprocess_mode="mostrecent",
)
