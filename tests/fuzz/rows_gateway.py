"""Parsers and formatters of `gateway`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st

from consent import policy
from consent.errors import MalformedPolicy
from gateway.cli.policy_toml import format_toml
from gateway.errors import NotReady
from gateway.records import mapping
from gateway.recovery import backup
from tests.fuzz import values as v
from tests.fuzz.pairs import Pair, of_text
from tests.fuzz.rows_http import SIGNATURE
from tests.gateway.records.test_mapping import mappings

LAYOUT = "people write it: layout, order and comments are theirs"


def _read_manifest(data: bytes) -> backup.Manifest:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / backup.MANIFEST).write_bytes(data)
        return backup.read_manifest(Path(folder))


_files = st.builds(backup.File, v.counts, v.hex32)
_manifests = st.builds(
    lambda files, database, **members: backup.Manifest(
        v=1, files={**files, backup.DATABASE: database}, **members
    ),
    st.dictionaries(v.parties, _files, max_size=2),
    _files,
    origin=v.origins,
    at=v.instants,
    schema=v.codes,
    version=v.text,
    size=v.counts,
    rows=v.counts,
)


GATEWAY = [
    of_text(mapping.parse_mapping, mapping.format_mapping, mapping.MalformedMapping, mappings(), free=LAYOUT),
    Pair(
        policy.load_policy,
        format_toml,
        MalformedPolicy,
        st.just(policy.default_policy(demo=True)),
        lambda data: policy.load_policy(data.decode("utf-8", "replace"), demo=True),
        lambda bundle: format_toml(bundle).encode(),
        free=LAYOUT,
    ),
    SIGNATURE,
    Pair(
        backup.read_manifest,
        backup.format_manifest,
        NotReady,
        _manifests,
        _read_manifest,
        backup.format_manifest,
    ),
]
