"""The public log (C2SP tlog-tiles) and its proofs. Hash tiles are anybody's, entry bundles a regulator's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

from gateway.errors import EvidenceBroken, Rejected
from gateway.http import operations
from gateway.http.guards import Api, Guard
from gateway.http.wire import problem_reply, reply
from gateway.institutions.published import listed
from gateway.institutions.replaced import signatures_of
from gateway.institutions.standing import signers_standings, standings
from gateway.policies import stored
from gateway.publishing import proof_of
from gateway.signers import log_keys
from gateway.tables import institutions
from gateway.transaction import Transaction
from keys.canonical import parse_canonical, sha256_hex
from keys.notes import format_vkey
from ledger.errors import LedgerError
from ledger.tiles import Level, MissingTile, TileDirectory, format_bundle, format_tile, parse_tile_path

OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def register(api: Api) -> None:
    """Put the log on the map."""
    _tiles(api)
    _policies(api)
    _proofs(api)


def _tiles(api: Api) -> None:
    tiles = TileDirectory(api.house.settings.log_dir)

    @api.route("/ledger/checkpoint", ["GET"], Guard.PUBLIC, operations.CHECKPOINT)
    def checkpoint() -> Response:
        note = (api.house.settings.log_dir / "checkpoint").read_bytes()
        return Response(note, content_type=TEXT, headers={"Cache-Control": "no-cache"})

    @api.route("/ledger/tile/<path:path>", ["GET"], Guard.PUBLIC, operations.TILE)
    def tile(path: str) -> Response:
        try:
            level, index, width = parse_tile_path(f"tile/{path}")
        except LedgerError as error:
            raise Rejected("not-found") from error
        if level == "entries":
            _require_auditor(api)
        data = _read_tile(tiles, level, index, width)
        private = "private" if level == "entries" else "public"
        return Response(
            data, content_type=OCTETS, headers={"Cache-Control": f"{private}, max-age=31536000, immutable"}
        )


def _policies(api: Api) -> None:
    house = api.house

    @api.route("/ledger/policy/<name>", ["GET"], Guard.PUBLIC, operations.POLICY)
    def policy(name: str) -> Response:
        """A bundle's own bytes under its hash: what replay needs to read the leaves that name it."""
        with house.read() as conn:
            body = stored(conn, name)
        if body is None:
            raise Rejected("not-found")
        if sha256_hex(body) != name:
            raise EvidenceBroken("the stored policy is not the one that the ledger names")
        return Response(
            body,
            content_type=JSON,
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )


def _read_tile(tiles: TileDirectory, level: Level, index: int, width: int) -> bytes:
    """A tile of exactly this width; a partial one that has grown since is cut from the wider."""
    try:
        if level == "entries":
            return format_bundle(tiles.entries(index, width))
        return format_tile(tiles.hashes(level, index, width))
    except MissingTile as error:
        raise Rejected("not-found") from error


def _proofs(api: Api) -> None:
    house = api.house

    @api.route("/v1/ledger/proofs/<int:index>", ["GET"], Guard.PUBLIC, operations.PROOF)
    def proof(index: int) -> Response:
        newest = api.publishing.publish_now()
        if newest is None:
            return problem_reply("not-yet-published")
        if index >= newest.checkpoint.size:
            raise Rejected("not-found")
        return Response(proof_of(house, newest, index), content_type=TEXT)

    @api.route("/v1/keys", ["GET"], Guard.PUBLIC, operations.KEYS)
    def keys() -> Response:
        with house.read() as conn:
            found = listed(house, conn)
            signed = signatures_of(house, conn, found)
            vkey = log_keys(house, conn).current
        keys = [_key(row, signed.get(row["kid"])) for row in found]
        return reply({"origin": house.origin, "vkey": format_vkey(vkey), "keys": keys})


def _key(row: Mapping[str, Any], signatures: dict[str, str] | None) -> dict[str, Any]:
    """One key as the world is told of it; what does not apply is absent."""
    said = {
        "use": row["use"],
        "kid": row["kid"],
        "public": parse_canonical(row["public"].encode()),
        "holder": row["holder"],
        "index": row["since"],
        "ended": row["ended_index"],
        "signatures": signatures,
    }
    return {name: value for name, value in said.items() if value is not None}


def _require_auditor(api: Api) -> None:
    """Entry bundles are for a regulator's auditing operator in good standing; to others they are absent."""
    signer = api.operator()

    def act(tx: Transaction) -> bool:
        operator = signers_standings(tx, [signer]).get(signer.known_by)
        institution = standings(tx, institutions, [signer.institution]).get(signer.institution)
        return all(
            one is not None and one.active(tx.at) and "audit" in one.roles for one in (operator, institution)
        )

    if not api.house.transact(act, seals=False, nonce=signer.nonce):
        raise Rejected("not-found")
