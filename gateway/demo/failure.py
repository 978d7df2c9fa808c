"""What stops the demo. DemoFailed (a GatewayError) is the only root: one line that says what to do."""

from __future__ import annotations

from gateway.errors import GatewayError


class DemoFailed(GatewayError):
    """The story cannot go on; the message is one line for the person at the terminal."""
