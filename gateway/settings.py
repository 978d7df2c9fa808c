"""The settings of one installation, as values: which there are, their types, defaults and limits.

Invariant: a `Settings` is complete and consistent. Secrets never stand in it, only the paths of the files
that hold them: a database URL with a password in it is refused, and so is any layout of directories that
would publish keys, database or outside checkpoint with the log's tiles. `gateway.config` reads them.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.addresses import LOOPBACK, checked_collector, checked_public_url, is_address
from gateway.contact_forms import HOST_NAME, check_notices, checked_email, checked_provider
from gateway.database_url import SQLITE, checked_database_url, is_postgresql, sqlite_file
from gateway.layout import check_layout
from gateway.relying_party import checked_origins, checked_rp_id, default_relying_party

PREFIX: Final = "CHENGXIN_"
DEFAULT_HOME: Final = Path("~/.chengxin")

_ORIGIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_OPTIONAL_FILES: Final = ("webhook_ca_file", "smtp_ca_file", "smtp_password_file", "sms_token_file")


class Settings(BaseSettings):
    """Everything that may differ between two installations. Frozen; paths are absolute.

    A relative path is taken from `home`. Construct it with `load_settings`, which explains what is wrong.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, validate_default=True
    )

    home: Path = Field(
        DEFAULT_HOME,
        description="Directory of the state: database, custody, log. The option --home comes first.",
    )
    origin: str = Field(
        "localhost/log0",
        max_length=200,
        description="Name of the log, without a scheme, fixed by init, e.g. credit.example.cn/log0.",
    )
    port: int = Field(8460, ge=1, le=65535, description="TCP port of the API.")
    public_url: str = Field(
        default_factory=lambda data: f"http://localhost:{data['port']}",
        description="Scheme, host and port that clients sign in @target-uri, e.g. https://credit.example.cn.",
    )
    rp_id: str = Field(
        default_factory=lambda data: default_relying_party(data["public_url"])[0],
        description="Domain of the citizens' passkeys (WebAuthn RP ID): the host of public_url, or above it.",
    )
    webauthn_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda data: default_relying_party(data["public_url"])[1],
        min_length=1,
        max_length=16,
        description="Origins of the pages on which citizens use passkeys, separated by commas.",
    )
    host: Annotated[tuple[str, ...], NoDecode] = Field(
        ("localhost",),
        min_length=1,
        description="Addresses to listen on, separated by commas; localhost means 127.0.0.1 and ::1.",
    )
    metrics_port: int = Field(9460, ge=1, le=65535, description="TCP port of /metrics, on loopback only.")
    threads: int = Field(64, ge=1, le=256, description="Threads that serve requests (gunicorn gthread).")
    workers: int = Field(
        1, ge=1, le=64, description="Worker processes that serve requests; more than 1 only on PostgreSQL."
    )
    passphrase_file: Path = Field(
        Path("passphrase"),
        description="File (mode 0600) with the passphrase that opens the custody, or the token's PIN.",
    )
    custody: Literal["file", "pkcs11"] = Field(
        "file", description="Where the root of all keys is kept: file, or pkcs11 (an HSM)."
    )
    custody_dir: Path = Field(Path("custody"), description="Directory of the custody's files (mode 0700).")
    pkcs11_module: Path | None = Field(
        None, description="The HSM's PKCS#11 library, e.g. /usr/lib/softhsm/libsofthsm2.so."
    )
    pkcs11_token: str | None = Field(
        None, min_length=1, max_length=32, description="Label of the HSM's token that holds the keys."
    )
    database_url: str = Field(
        default_factory=lambda data: f"{SQLITE}{data['home'] / 'gateway.db'}",
        description="Where the database is, without a password: sqlite:///PATH, or "
        "postgresql+psycopg://USER@HOST/DATABASE (?host=/run/postgresql for a socket).",
    )
    database_password_file: Path | None = Field(
        None, description="File (mode 0600) with the password of database_url's user, where it needs one."
    )
    database_owner_url: str = Field(
        default_factory=lambda data: data["database_url"],
        description="The same database as the owner of its tables: for migrations and grants only.",
    )
    database_owner_password_file: Path | None = Field(
        None, description="File (mode 0600) with the password of database_owner_url's user."
    )
    log_dir: Path = Field(
        Path("log"),
        description="Directory of checkpoint, tiles and entry bundles; the bundles are for regulators only.",
    )
    checkpoint_copy: Path = Field(
        Path("outside/checkpoint"),
        description="Latest checkpoint again, best on another disk: it gives a restored database away.",
    )
    batch_limit: int = Field(256, ge=1, le=256, description="Most asks that share one commit.")
    checkpoint_interval_ms: int = Field(
        1000,
        ge=100,
        le=3_600_000,
        description="Milliseconds between checkpoints while there is something new.",
    )
    created_window_s: int = Field(
        60, ge=1, le=60, description="Seconds that a signature's created may lie before or after now."
    )
    bad_signatures_per_minute: int = Field(
        60,
        ge=1,
        le=1_000_000,
        description="Bad signatures a minute and source address, for each worker, before it gets 429.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses of proxies whose X-Forwarded-For names the source, separated by commas; "
        "or none.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is written: debug, info, warning or error."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="json (one object a line) or console (for people)."
    )
    otlp_endpoint: str | None = Field(
        None,
        description="OpenTelemetry collector that is sent traces, e.g. http://localhost:4318; or none.",
    )
    webhook_private_addresses: Literal["refuse", "allow"] = Field(
        "refuse", description="Whether webhooks may lead to private addresses: refuse or allow."
    )
    webhook_ca_file: Path | None = Field(
        None, description="PEM file of the authorities that certify webhooks; none for the public ones."
    )
    notice_email: Literal["none", "smtp"] = Field(
        "none", description="How citizens who left an e-mail address are notified: none or smtp."
    )
    smtp_host: str = Field("localhost", pattern=HOST_NAME, description="The mail server (submission).")
    smtp_port: int = Field(587, ge=1, le=65535, description="TCP port of the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="starttls, tls (from the first byte), or none, to localhost only."
    )
    smtp_ca_file: Path | None = Field(
        None, description="PEM file of the authorities that certify it; none for the public ones."
    )
    smtp_from: str | None = Field(
        None, description="Sender of notices by e-mail, e.g. notice@credit.example.cn."
    )
    smtp_user: str | None = Field(
        None, max_length=254, description="User at the mail server, or none where it asks for none."
    )
    smtp_password_file: Path | None = Field(
        None, description="File (mode 0600) with the password of smtp_user."
    )
    notice_sms: Literal["none", "http"] = Field(
        "none", description="How citizens who left a mobile number are notified: none or http."
    )
    sms_url: str | None = Field(
        None, description="The provider's https URL, to which short messages are posted as JSON."
    )
    sms_token_file: Path | None = Field(
        None, description="File (mode 0600) with the bearer token for sms_url, where it needs one."
    )

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, home: Path) -> Path:
        return home.expanduser().resolve()

    @field_validator("passphrase_file", "custody_dir", "log_dir", "checkpoint_copy")
    @classmethod
    def _absolute_path(cls, path: Path, info: ValidationInfo) -> Path:
        home: Path = info.data.get("home", DEFAULT_HOME)  # absent when home was refused itself
        return (home / path.expanduser()).resolve()

    @field_validator("origin")
    @classmethod
    def _origin_form(cls, origin: str) -> str:
        if not _ORIGIN.fullmatch(origin) or ".." in origin:
            raise ValueError("should be a name without a scheme, like credit.example.cn/log0")
        return origin

    @field_validator(
        "database_password_file",
        "database_owner_password_file",
        "pkcs11_module",
        "pkcs11_token",
        *_OPTIONAL_FILES,
        "smtp_from",
        "smtp_user",
        "sms_url",
        mode="before",
    )
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value == "none" else value

    @field_validator(
        "database_password_file", "database_owner_password_file", "pkcs11_module", *_OPTIONAL_FILES
    )
    @classmethod
    def _absolute_if_any(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        home: Path = info.data.get("home", DEFAULT_HOME)
        return None if path is None else (home / path.expanduser()).resolve()

    @field_validator("otlp_endpoint", mode="before")
    @classmethod
    def _no_collector(cls, url: object) -> object:
        return None if url == "none" else url

    @field_validator("otlp_endpoint")
    @classmethod
    def _otlp_endpoint_form(cls, url: str | None) -> str | None:
        return None if url is None else checked_collector(url)

    @field_validator("host", "trusted_proxies", "webauthn_origins", mode="before")
    @classmethod
    def _split_commas(cls, names: object, info: ValidationInfo) -> object:
        if names == "none" and info.field_name == "trusted_proxies":
            return ()
        return tuple(part.strip() for part in names.split(",")) if isinstance(names, str) else names

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_form(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_address(name) for name in named):
            raise ValueError("should be IP addresses separated by commas, or none")
        return tuple(str(ipaddress.ip_address(name)) for name in named)

    @field_validator("rp_id")
    @classmethod
    def _rp_id_form(cls, rp_id: str) -> str:
        return checked_rp_id(rp_id)

    @field_validator("webauthn_origins")
    @classmethod
    def _origins_form(cls, origins: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return checked_origins(info.data.get("rp_id"), origins)

    @field_validator("host")
    @classmethod
    def _host_form(cls, host: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name == "localhost" or is_address(name) for name in host):
            raise ValueError("should be localhost or IP addresses, separated by commas, without brackets")
        return host

    @field_validator("public_url")
    @classmethod
    def _public_url_form(cls, url: str) -> str:
        return checked_public_url(url)

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _database_url_form(cls, url: str) -> str:
        return checked_database_url(url)

    @field_validator("smtp_from")
    @classmethod
    def _smtp_from_form(cls, address: str | None) -> str | None:
        return None if address is None else checked_email(address)

    @field_validator("sms_url")
    @classmethod
    def _sms_url_form(cls, url: str | None) -> str | None:
        return None if url is None else checked_provider(url)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        check_notices(self)
        if self.port == self.metrics_port:
            raise ValueError("port and metrics_port should differ")
        if self.workers > 1 and not is_postgresql(self.database_url):
            raise ValueError("workers above 1 need PostgreSQL in database_url: SQLite has one writer")
        if self.custody == "pkcs11" and (self.pkcs11_module is None or self.pkcs11_token is None):
            raise ValueError("custody pkcs11 needs pkcs11_module and pkcs11_token beside it")
        check_layout(self)
        if is_postgresql(self.database_url) != is_postgresql(self.database_owner_url):
            raise ValueError("database_url and database_owner_url should name the same database")
        if not is_postgresql(self.database_url) and self.database_owner_url != self.database_url:
            raise ValueError("a SQLite database has no other owner: leave database_owner_url out")
        return self

    @property
    def database_file(self) -> Path | None:
        """The file of the SQLite database; None on PostgreSQL."""
        return sqlite_file(self.database_url)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The IP addresses to listen on, IPv4 loopback before IPv6 where `host` says localhost."""
        named = (address for name in self.host for address in (LOOPBACK if name == "localhost" else (name,)))
        return tuple(dict.fromkeys(named))
