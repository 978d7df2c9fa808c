"""The relying party of the citizens' passkeys, as it stands in settings: RP ID and the origins of its pages.

Invariant: what leaves here is a set that a kept proof may name (`consent.webauthn.check_relying_party`), so
that no proof is accepted now that cannot be kept and verified again.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def default_relying_party(public_url: str) -> tuple[str, tuple[str, ...]]:
    """RP ID and origins where nothing else is set: the gateway's own host.

    Browsers make no passkeys for addresses: with one as its host the gateway takes those of localhost.
    """
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host, (public_url,)
    port = "" if parts.port is None else f":{parts.port}"
    return "localhost", (f"http://localhost{port}",)


def checked_rp_id(rp_id: str) -> str:
    """`rp_id`. ValueError unless it is a domain."""
    from consent.webauthn import check_relying_party

    check_relying_party(rp_id, ())
    return rp_id


def checked_origins(rp_id: str | None, origins: tuple[str, ...]) -> tuple[str, ...]:
    """The origins, ascending, without duplicates. ValueError unless `rp_id` is a domain and all lie under it.

    `rp_id` is None where it was refused itself.
    """
    from consent.webauthn import check_relying_party

    chosen = tuple(sorted(set(origins)))
    if rp_id is not None:
        check_relying_party(rp_id, chosen)
    return chosen
