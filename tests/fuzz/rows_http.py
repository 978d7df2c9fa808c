"""The grammar of the signature on a request: light to import, for a process that only fuzzes."""

from __future__ import annotations

import base64

from hypothesis import strategies as st

from gateway.http import profile
from tests.fuzz import values as v
from tests.fuzz.pairs import Pair


def _read_signature(data: bytes) -> profile.SignatureInput:
    """`Signature-Input` and `Signature` of a POST, a line each, in latin-1 as the server has them."""
    first, _, second = data.decode("latin-1").partition("\n")
    return profile.parse_signature("POST", {"signature-input": first, "signature": second})


def _write_signature(parsed: profile.SignatureInput) -> bytes:
    value = base64.b64encode(parsed.signature).decode()
    return f"{parsed.label}={parsed.params}\n{parsed.label}=:{value}:".encode("latin-1")


@st.composite
def _signatures(draw: st.DrawFn) -> profile.SignatureInput:
    tag = draw(st.sampled_from(sorted(profile.ALGS_OF_TAG)))
    said: dict[str, int | str] = {
        "created": draw(st.integers(0, 10**15 - 1)),
        "keyid": draw(v.random32),
        "nonce": draw(v.random16),
        "alg": draw(st.sampled_from(sorted(profile.ALGS_OF_TAG[tag]))),
        "tag": tag,
    }
    order = draw(st.permutations(sorted(said)))
    components = tuple(
        draw(st.permutations(draw(st.sampled_from([profile.WITH_BODY, profile.WITHOUT_BODY]))))
    )
    params = profile.format_params(components, {name: said[name] for name in order})
    raw = draw(st.binary(min_size=64, max_size=64))
    label = draw(st.sampled_from(["sig1", "*a", "x-y.z"]))
    return profile.SignatureInput(label, components, params, **said, signature=raw)  # type: ignore[arg-type]


SIGNATURE = Pair(
    profile.parse_signature,
    profile.format_params,
    profile.SignatureRefused,
    _signatures(),
    _read_signature,
    _write_signature,
    free="RFC 9651 allows spaces",
)
