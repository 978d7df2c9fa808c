"""The scenarios, tried against the running sandbox: each must end as it says, with its signed receipt."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

import httpx

from consent.receipt import verify_receipt
from gateway.client import new_http
from gateway.client.channel import system_clock
from gateway.demo.failure import DemoFailed
from gateway.http.problems import TYPE_PREFIX
from gateway.http.profile import TAG_INSTITUTION
from gateway.http.signature import sign_request
from gateway.sandbox.consents import Gateway
from gateway.sandbox.scenarios import Scenario, Told
from keys.canonical import b64u, canonical, sha256_hex
from keys.signing import PrivateKey, generate_key

_JSON: Final = "application/json"
_HOUR_S: Final = 3_600


def check(gateway: Gateway, scenarios: Iterable[Scenario], told: Told) -> None:
    """Send every request; DemoFailed at the first that does not end as it says."""
    with new_http() as http:
        for scenario in scenarios:
            response = _send(http, gateway, scenario)
            wrong = _wrong(gateway, scenario, response)
            if wrong is not None:
                raise DemoFailed(f"scenario {scenario.name!r}: {wrong}")
            told(scenario)


def _send(http: httpx.Client, gateway: Gateway, scenario: Scenario) -> httpx.Response:
    body = None if scenario.body is None else canonical(dict(scenario.body))
    media = None if body is None else _JSON
    target = gateway.url + scenario.path
    headers = {} if media is None else {"Content-Type": media}
    if scenario.signing != "unsigned":
        created = system_clock() // 1000 - (_HOUR_S if scenario.signing == "stale" else 0)
        nonce = b64u(os.urandom(16))
        key = _key(gateway, scenario)
        headers = sign_request(scenario.method, target, body, media, key, created, nonce, TAG_INSTITUTION)
    return http.request(scenario.method, target, content=body, headers=headers)


def _key(gateway: Gateway, scenario: Scenario) -> PrivateKey:
    if scenario.signing == "by-a-stranger":
        return generate_key("Ed25519", os.urandom)
    return gateway.town.operators[scenario.operator].key


def _wrong(gateway: Gateway, scenario: Scenario, response: httpx.Response) -> str | None:
    """What is not as the scenario says, or None."""
    reply = response.json()
    problem = reply.get("type", "").removeprefix(TYPE_PREFIX) if response.status_code >= 400 else None
    if (response.status_code, problem) != (scenario.status, scenario.problem):
        return f"replied {response.status_code} {problem or ''}"
    token = reply.get("receipt")
    if scenario.decision is None:
        return None if token is None else "a receipt where there should be none"
    receipt = verify_receipt(token, gateway.pins.receipt_key)
    if (receipt.decision, receipt.query_id) != (scenario.decision, scenario.query_id):
        return f"the receipt is of {receipt.decision}"
    if receipt.answer_sha256 is not None and receipt.answer_sha256 != sha256_hex(canonical(reply["answer"])):
        return "the receipt is of another answer"
    return None
