"""A real mail server on loopback: STARTTLS, AUTH, and answers as a test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.gateway.certificates import Certified
from tests.ports import free_port

USER, PASSWORD = "gateway", "an-uncommon-password"


@dataclass
class MailServer:
    """What was delivered, and the replies to RCPT and DATA that come before it accepts."""

    delivered: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refuse_recipient: list[str] = field(default_factory=list)
    refuse_message: list[str] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802  the library's name
        self, _s: Any, _session: Any, envelope: Any, address: str, _o: Any
    ) -> str:
        if self.refuse_recipient:
            return self.refuse_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  likewise
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        if self.refuse_message:
            return self.refuse_message.pop(0)
        read = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(read, EmailMessage)
        self.delivered.append((list(envelope.rcpt_tos), read))
        return "250 OK"


def _known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def mail_server(tls: Certified) -> Iterator[MailServer]:
    """A server that takes mail only under TLS, from who authenticates."""
    made = MailServer(port=free_port())
    controller = Controller(
        made,
        hostname="127.0.0.1",
        port=made.port,
        tls_context=tls.context(),
        require_starttls=True,
        auth_required=True,
        authenticator=_known,
    )
    controller.start()
    try:
        yield made
    finally:
        controller.stop()
