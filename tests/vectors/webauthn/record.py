"""Records `recorded.json` anew with a real browser: `python -m tests.vectors.webauthn.record [CHROMIUM]`.

Needs `playwright` and a Chromium (default /usr/bin/chromium); no test runs it. A page on http://localhost
asks the browser's own WebAuthn code for a passkey of each algorithm, kept by the virtual authenticator of the
DevTools protocol, and then for an assertion over the challenge of a consent and of a withdrawal. Nonces,
documents and keys are synthetic.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key
from playwright.sync_api import Page, sync_playwright

from consent.webauthn import Assertion, RelyingParty, keep
from keys.canonical import b64u, unb64u
from keys.signing import PublicKey, parse_public_jwk
from tests.vectors.webauthn import cases

HERE = Path(__file__).parent
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
CREATE = """async ([alg, user]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const made = await navigator.credentials.create({publicKey: {
    rp: {id: "localhost", name: "Chengxin"}, user: {id: bytes(user), name: "citizen", displayName: "citizen"},
    challenge: new Uint8Array(32), pubKeyCredParams: [{type: "public-key", alg}],
    authenticatorSelection: {residentKey: "required", userVerification: "required"}}});
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return {id: text(made.rawId), alg: made.response.getPublicKeyAlgorithm(),
          spki: text(made.response.getPublicKey())};
}"""
GET = """async ([id, challenge]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const got = await navigator.credentials.get({publicKey: {
    rpId: "localhost", challenge: bytes(challenge), userVerification: "required",
    allowCredentials: [{type: "public-key", id: bytes(id)}]}});
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return {authenticator_data: text(got.response.authenticatorData),
          client_data_json: text(got.response.clientDataJSON),
          signature: text(got.response.signature)};
}"""


class Blank(BaseHTTPRequestHandler):
    """An empty page: what signs is the browser, asked by this script."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>passkeys</title>")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def plain(data: bytes) -> str:
    return base64.b64encode(data).decode()


def raw(text: str) -> str:
    return b64u(base64.b64decode(text))


def public_key(spki: str) -> PublicKey:
    """The key of a SubjectPublicKeyInfo."""
    key = load_der_public_key(base64.b64decode(spki))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return parse_public_jwk({"kty": "OKP", "crv": "Ed25519", "x": b64u(key.public_bytes_raw())})
    assert isinstance(key, ec.EllipticCurvePublicKey)
    numbers = key.public_numbers()
    x, y = (b64u(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
    return parse_public_jwk({"kty": "EC", "crv": "P-256", "x": x, "y": y})


def record(page: Page, origin: str, alg: int, name: str) -> list[dict[str, Any]]:
    """A consent and a withdrawal, signed by a new passkey of this COSE algorithm."""
    made = page.evaluate(CREATE, [alg, plain(name.encode())])
    assert made["alg"] == alg, made
    key = public_key(made["spki"])
    party = RelyingParty("localhost", (origin,))
    found = []
    for kind in ("consent", "withdrawal"):
        document = cases.document(kind, key.kid)
        nonce = hashlib.sha256(f"{kind}/{name}".encode()).digest()
        challenge = cases.challenge_of(kind, nonce, document)
        got = page.evaluate(GET, [made["id"], plain(challenge)])
        sent = Assertion(server_nonce=b64u(nonce), **{member: raw(text) for member, text in got.items()})
        found.append(cases.case(f"{kind} signed with {name}", kind, document, keep(sent, party, key), key))
    return found


def main(chromium: str = "/usr/bin/chromium") -> None:
    """Record both algorithms and write the file."""
    version = subprocess.run(
        [chromium, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://localhost:{server.server_address[1]}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        page = browser.new_page()
        page.goto(origin)
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        found = record(page, origin, -7, "ES256") + record(page, origin, -8, "Ed25519")
        browser.close()
    server.shutdown()
    cases.write(
        HERE / "recorded.json",
        f"Assertions as {version} made them with its virtual authenticator (CTAP 2).",
        found,
    )
    for one in found:
        sys.stdout.write(json.dumps(json.loads(unb64u(one["proof"]["client_data_json"]))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
