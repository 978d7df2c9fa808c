"""Notices by e-mail: message submission (RFC 6409) over TLS, one message a connection.

Invariant: no message and no password goes over a connection whose server did not prove its name, except to
this very machine where the settings say so. The recipient stands in the envelope and in To, and in no log or
error. A refusal of the recipient or the message by 5yz is final (RFC 5321 section 4.2.1); everything else,
our own credentials included, is worth another try.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.notices.senders import TIMEOUT_S, Later, Message, Never, Outcome, Sent
from gateway.postgresql import read_password

if TYPE_CHECKING:
    from gateway.settings import Settings

PERMANENT: Final = range(500, 600)


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server, and how it is spoken to. The password is read anew for each message: files change."""

    host: str
    port: int
    security: str
    sender: str
    user: str | None
    password_file: Path | None = field(repr=False)
    ca_file: Path | None

    @classmethod
    def of(cls, settings: Settings) -> Smtp:
        """As the settings say."""
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_from or "",
            settings.smtp_user,
            settings.smtp_password_file,
            settings.smtp_ca_file,
        )

    def send(self, message: Message) -> Outcome:
        """Submit one message."""
        try:
            with self._connected() as server:
                if self.user is not None and self.password_file is not None:
                    server.login(self.user, read_password(self.password_file))
                server.send_message(self._mail(message))
        except smtplib.SMTPRecipientsRefused as error:
            return _refused("recipient", *(code for code, _ in error.recipients.values()))
        except smtplib.SMTPDataError as error:
            return _refused("message", error.smtp_code)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError):
            return Later("not-authenticated")
        except smtplib.SMTPException:
            return Later("broken-off")
        except ssl.SSLError:
            return Later("tls")
        except OSError:
            return Later("unreachable")
        return Sent()

    def _connected(self) -> smtplib.SMTP:
        """A connection under TLS, its certificate verified; without, on this machine only (see settings)."""
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=self._context())
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        if self.security == "starttls":
            try:
                server.starttls(context=self._context())
            except BaseException:
                server.close()
                raise
        return server

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)

    def _mail(self, message: Message) -> EmailMessage:
        """The message (RFC 5322). Its Message-ID stays the same, whenever it is tried."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, message.to
        mail["Subject"] = message.text.subject
        mail["Date"] = format_datetime(datetime.fromtimestamp(message.at // 1000, tz=UTC))
        mail["Message-ID"] = f"<{message.id}@{self.sender.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation message answers it
        mail.set_content(message.text.whole, cte="base64")
        return mail


def _refused(what: str, *codes: int) -> Outcome:
    """Final when every code is; the code itself says nothing personal."""
    why = f"{what}-{max(codes, default=0)}"
    return Never(why) if codes and all(code in PERMANENT for code in codes) else Later(why)
