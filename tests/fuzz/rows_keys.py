"""Parsers and formatters of `keys`."""

from __future__ import annotations

from hypothesis import strategies as st

from keys import canonical, instant, notes, rotation, sealing, signing
from keys.custody import copies, sealed_file, shares
from keys.errors import BadShare, CustodyError, Malformed
from tests.fuzz import values as v
from tests.fuzz.pairs import of_bytes, of_members, of_text

_HEADER = frozenset({"v", "name", "kind"})
_json = st.builds(lambda value: value, v.json_values)
_vkeys = st.builds(
    notes.make_vkey,
    st.sampled_from(["credit.example.cn/log0", "日志"]),
    st.sampled_from([k.point for k in v.PUBLIC[::2]]),
)
_x25519 = v.raw32.map(lambda raw: sealing.generate_x25519(lambda _: raw))
_statements = st.builds(
    lambda log, use, holder, keys: rotation.Statement(
        log, use, holder, keys[0].kid, keys[1].kid, keys[1].jwk
    ),
    v.origins,
    st.sampled_from(rotation.USES),
    v.parties,
    st.permutations(v.PUBLIC),
)
_costs = st.builds(
    sealed_file.Cost,
    st.integers(sealed_file.LEAST.passes, sealed_file.MOST.passes),
    st.integers(sealed_file.LEAST.memory, sealed_file.MOST.memory),
)
_sealed_files = st.builds(
    lambda name, kind, nonce, wrapped: sealed_file.SealedFile(
        {"v": 1, "name": name, "kind": kind}, nonce, wrapped
    ),
    v.codes,
    v.codes,
    st.binary(min_size=24, max_size=24),
    st.binary(min_size=48, max_size=48),
)
_copies = st.builds(
    copies.CustodyCopy,
    v.origins,
    v.uuids,
    st.dictionaries(v.codes, st.binary(max_size=40), max_size=3),
    v.raw32,
)
_SHARES = shares.split_root(
    bytes(range(32)), "credit.example.cn/log0", "3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111", 3, 2
)

KEYS = [
    of_bytes(canonical.parse_canonical, canonical.canonical, Malformed, _json),
    of_bytes(
        canonical.parse_json_strict,
        canonical.canonical,
        Malformed,
        _json,
        free="for what others serialise: any legal layout",
    ),
    of_text(canonical.unb64u, canonical.b64u, Malformed, st.binary(max_size=40)),
    of_text(instant.parse_instant, instant.format_instant, Malformed, v.instants),
    of_text(notes.parse_vkey, notes.format_vkey, Malformed, _vkeys),
    of_members(signing.parse_public_jwk, signing.PublicKey.jwk.fget, Malformed, v.public_keys),  # type: ignore[attr-defined]
    of_members(
        signing.load_private_jwk,
        signing.private_jwk,
        Malformed,
        v.private_keys,
        same=lambda one, other: signing.private_jwk(one) == signing.private_jwk(other),
    ),
    of_members(
        sealing.parse_x25519_jwk,
        sealing.x25519_jwk,
        Malformed,
        _x25519.map(lambda pair: canonical.unb64u(pair[1]["x"])),
    ),
    of_members(
        sealing.parse_private_x25519_jwk,
        sealing.generate_x25519,
        Malformed,
        v.raw32,
        write=lambda private: sealing.generate_x25519(lambda _: private)[0],
    ),
    of_bytes(rotation.parse_statement, rotation.format_statement, Malformed, _statements),
    of_bytes(
        rotation.parse_rotation,
        rotation.format_rotation,
        Malformed,
        st.builds(rotation.Rotation, _statements, v.tokens, v.tokens),
    ),
    of_bytes(
        sealed_file.parse_sealed_file,
        sealed_file.format_sealed_file,
        CustodyError,
        _sealed_files,
        _HEADER,
        24,
    ),
    of_members(
        sealed_file.parse_derivation,
        sealed_file.format_derivation,
        CustodyError,
        st.builds(sealed_file.Derivation, v.raw16, _costs),
    ),
    of_bytes(copies.parse_copy, copies.format_copy, CustodyError, _copies),
    of_text(
        shares.parse_share,
        shares.format_share,
        BadShare,
        st.sampled_from(_SHARES),
        free="typed in again from paper: space and case count for nothing",
    ),
]
