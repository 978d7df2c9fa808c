"""The story's first half, act by act: records, keys, consent, query, refusal, withdrawal.

Invariant: every act is done against the running server with the importable clients, or beside it as a
command would, and what is told is what came back. An outcome that the story does not expect stops it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.cli.common import progress
from gateway.client import (
    Access,
    Answer,
    BankClient,
    CitizenClient,
    ConsentRequested,
    Person,
    Pins,
    Refused,
    Terms,
    Wallet,
)
from gateway.client.accesses import Access as _Access  # noqa: F401
from gateway.demo.applicants import Applicant, import_file, read_data_set
