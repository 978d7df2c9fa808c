"""The relying party of passkeys: by default the gateway itself, never one whose proofs could not be kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config import SettingsError, format_config, load_settings


@pytest.fixture(autouse=True)
def _nobody_elses_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("CHENGXIN_")]:
        monkeypatch.delenv(name)


def load(home: Path, **values: str) -> tuple[str, tuple[str, ...]]:
    (home / "config.toml").write_text(format_config(dict(values)), encoding="utf-8")
    settings = load_settings(home)
    return settings.rp_id, settings.webauthn_origins


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8460", ("localhost", ("http://localhost:8460",))),
        ("https://credit.example.cn", ("credit.example.cn", ("https://credit.example.cn",))),
        ("https://credit.example.cn:8443", ("credit.example.cn", ("https://credit.example.cn:8443",))),
        # Browsers make no passkeys for addresses: what remains is the page on this machine.
        ("http://127.0.0.1:8460", ("localhost", ("http://localhost:8460",))),
        ("http://[::1]", ("localhost", ("http://localhost",))),
    ],
)
def test_by_default_it_is_the_gateway_itself(
    tmp_path: Path, url: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    assert load(tmp_path, public_url=url) == expected


def test_pages_elsewhere_under_the_domain_are_taken_in_any_order(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        public_url="https://api.credit.example.cn",
        rp_id="credit.example.cn",
        webauthn_origins="https://m.credit.example.cn:8443, https://credit.example.cn,https://credit.example.cn",
    )
    assert found == ("credit.example.cn", ("https://credit.example.cn", "https://m.credit.example.cn:8443"))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"rp_id": "Credit.example.cn"}, "rp_id"),
        ({"rp_id": "https://credit.example.cn"}, "rp_id"),
        ({"rp_id": "10.0.0.1"}, "rp_id"),
        ({"rp_id": "example.com"}, "webauthn_origins"),  # the default page does not lie under it
        ({"webauthn_origins": "https://example.com"}, "webauthn_origins"),
        ({"webauthn_origins": "http://credit.example.cn"}, "webauthn_origins"),
        ({"webauthn_origins": "https://credit.example.cn/"}, "webauthn_origins"),
        ({"webauthn_origins": "*"}, "webauthn_origins"),
    ],
)
def test_what_could_not_be_verified_again_is_refused_by_name(
    tmp_path: Path, values: dict[str, str], key: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, public_url="https://credit.example.cn", **values)
    [line] = str(refused.value).splitlines()
    assert line.startswith(f"{key} in ")
    assert not any(value in line for value in values.values() if len(value) > 1)
