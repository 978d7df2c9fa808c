"""Where a webhook may lead: not into the gateway's own net, whatever the name resolves to."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings
from gateway.events.addresses import AddressRefused, checked_url, places_of

PUBLIC = "93.184.216.34"


def settings(tmp_path: Path, **chosen: Any) -> Settings:
    return Settings(home=tmp_path, **({"public_url": "https://credit.example.cn"} | chosen))


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What the resolver says of any name."""

    def getaddrinfo(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "url",
    [
        "http://bank.example/",
        "ftp://bank.example/",
        "https://bank.example",
        "https://user@bank.example/",
        "https://bank.example:443/",
        "https://bank.example:0/",
        "https://bank.example:99999/",
        "https://bank.example/%2e",
        "https://bank.example/../admin",
        "https://bank.example/a#b",
        "https://Bank.example/",
        "https://bank.example/ a",
        "https://[::1/",
        "https://" + "a" * 600 + "/",
        "",
    ],
)
def test_what_is_no_plain_https_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(AddressRefused):
        checked_url(url, settings(tmp_path))


@pytest.mark.parametrize(
    ("address", "even_where_allowed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("64:ff9b::7f00:1", True),
        ("0.0.0.0", True),  # noqa: S104  refused, not listened on
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1", True),
        ("224.0.0.1", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::1", False),
    ],
)
def test_a_name_that_leads_inside_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, even_where_allowed: bool
) -> None:
    resolve_to(monkeypatch, address)
    with pytest.raises(AddressRefused):
        places_of("https://bank.example/", settings(tmp_path))
    allowing = settings(tmp_path, webhook_private_addresses="allow")
    if even_where_allowed:
        with pytest.raises(AddressRefused):
            places_of("https://bank.example/", allowing)
    else:
        assert places_of("https://bank.example/", allowing)[0].host == "bank.example"


def test_one_bad_address_among_good_ones_refuses_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, PUBLIC, "10.0.0.1")
    with pytest.raises(AddressRefused):
        places_of("https://bank.example/", settings(tmp_path))


def test_the_connection_goes_to_the_address_that_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", PUBLIC)
    first, second = places_of("https://bank.example:8443/hook?x=1", settings(tmp_path))
    assert first.connect_url == f"https://{PUBLIC}:8443/hook?x=1"
    assert second.connect_url.startswith("https://[2606:2800:220:1:248:1893:25c8:1946]:8443/")
    assert first.authority == second.authority == "bank.example:8443"


def test_loopback_serves_demos_only(tmp_path: Path) -> None:
    for url in ("http://localhost:1/", "http://127.0.0.1:1/", "https://[::1]:1/"):
        assert checked_url(url, Settings(home=tmp_path)) == url
        with pytest.raises(AddressRefused):
            checked_url(url, settings(tmp_path))
