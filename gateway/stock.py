"""What is looked up when somebody scrapes the metrics: no thread keeps it, any worker can see it.

Invariant: it only reads, and a database that cannot be read is said (`chengxin_ready` 0), not raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway import metrics
from gateway.errors import EvidenceBroken
from gateway.http.routes.system import why_not_ready
from gateway.recovery.backup import last_backup
from gateway.signers import log_keys
from ledger.errors import LedgerError
from ledger.log import read_head
from ledger.publish import read_published

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.publishing import PublishingThread


def take_stock(house: House, publishing: PublishingThread) -> None:
    """Whether a request would be served now, and how far log and checkpoint have come, whoever wrote them."""
    ready = why_not_ready(house, publishing) is None
    try:
        with house.read() as conn:
            metrics.HEAD.set(read_head(conn, house.shard).size)
            found = read_published(conn, house.shard, log_keys(house, conn))
    except (sa.exc.DBAPIError, EvidenceBroken, LedgerError):
        ready = False
    else:
        metrics.PUBLISHED.set(0 if found is None else found.checkpoint.size)
    metrics.BACKED_UP.set(last_backup(house.settings.home) / 1000)
    metrics.READY.set(ready)
