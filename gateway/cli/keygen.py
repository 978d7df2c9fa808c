"""Making key pairs: the private key in a file of its own, the public key beside it.

Invariant: both files are new, the private one is its owner's alone, and neither is left without the other.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from gateway.cli.common import require_free


def public_file(private: Path) -> Path:
    """Where the public key of a private key file stands: the same name and `.pub`."""
    return private.with_name(f"{private.name}.pub")


def make_signing_key(out: Path, alg: str = "Ed25519") -> None:
    """Make a signing key at `out`, its public JWK at `out`.pub, and say so."""
    from keys.signing import generate_key, private_jwk

    key = generate_key(alg, os.urandom)
    _write(out, private_jwk(key), key.jwk, key.kid)


def make_sealing_key(out: Path) -> None:
    """Make an X25519 key, to which sealed details are encrypted."""
    from keys.sealing import generate_x25519
    from keys.signing import thumbprint

    private, public = generate_x25519(os.urandom)
    _write(out, private, public, thumbprint(public))


def _write(out: Path, private: dict[str, str], public: dict[str, str], kid: str) -> None:
    from gateway.client.keyfile import write_jwk

    require_free(out, public_file(out))
    write_jwk(out, private)
    try:
        write_jwk(public_file(out), public)
    except BaseException:
        out.unlink()  # ours, made a moment ago, and known to nobody
        raise
    click.echo(f"private key  {out} (mode 0600: it must never leave its owner)")
    click.echo(f"public key   {public_file(out)}")
    click.echo(f"thumbprint   {kid}")
