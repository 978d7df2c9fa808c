"""Forms of addresses: where a citizen may be notified, and what the settings may say of how.

Invariant: pure, and strict: an address that is not plainly one is refused before it is stored, so that
nothing of it can become a header, a command or a second recipient. No message repeats what it refuses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from gateway.settings import Settings

HOST_NAME: Final = r"^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f]*:[0-9a-f:]+)$"
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM: Final = r"[A-Za-z0-9!#$&'*+/=?^_`{|}~-]+"
# The dot-atom form of RFC 5321 section 4.1.2, in ASCII; quoted local parts and address literals are not
# taken.
_EMAIL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}")
_LOCAL_EMAIL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@localhost")
# E.164 with the country code 86 and a mobile number of eleven digits (YD/T 1597).
_MOBILE: Final = re.compile(r"\+861[3-9][0-9]{9}")
_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")
MAX_EMAIL: Final = 254
MAX_LOCAL: Final = 64


def is_email(text: str) -> bool:
    """Whether this is an e-mail address of the plain form (RFC 5321: at most 64 and 254 characters)."""
    return (
        len(text) <= MAX_EMAIL and len(text.partition("@")[0]) <= MAX_LOCAL and bool(_EMAIL.fullmatch(text))
    )


def is_mobile(text: str) -> bool:
    """Whether this is a mobile number of mainland China in E.164: +86 and eleven digits."""
    return bool(_MOBILE.fullmatch(text))


def checked_email(address: str) -> str:
    """The sender's address of the settings; a demo may send from localhost. ValueError for any other."""
    if not is_email(address) and not _LOCAL_EMAIL.fullmatch(address):
        raise ValueError("should be an e-mail address, like notice@credit.example.cn")
    return address


def checked_provider(url: str) -> str:
    """The URL of a provider of short messages: https, or http on this machine. ValueError for any other."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    secure = url.startswith("https://") or host in _LOCAL_HOSTS
    if not _URL.fullmatch(url) or not host or port == 0 or not secure:
        raise ValueError("should be https, host and path, without user or query; http serves localhost only")
    return url


def check_notices(settings: Settings) -> None:
    """ValueError where the settings want notices sent and do not say how."""
    if settings.notice_email == "smtp" and settings.smtp_from is None:
        raise ValueError("notice_email is smtp and smtp_from names no sender: set it")
    if (settings.smtp_user is None) != (settings.smtp_password_file is None):
        raise ValueError("smtp_user and smtp_password_file belong together: set both or none")
    if settings.smtp_security == "none" and settings.smtp_host not in _LOCAL_HOSTS:
        raise ValueError("smtp_security none serves a mail server on localhost only: use starttls or tls")
    if settings.notice_sms == "http" and settings.sms_url is None:
        raise ValueError("notice_sms is http and sms_url names no provider: set it")
