"""What stops the demo and the sandbox: DemoFailed alone, with one line that says what to do."""

from __future__ import annotations

from gateway.errors import GatewayError


class DemoFailed(GatewayError):
    """The story, or the sandbox, cannot go on; the message is one line for the person at the terminal."""
