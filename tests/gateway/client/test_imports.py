"""The client stands apart: a bank or a wallet never pulls in the server."""

from __future__ import annotations

import subprocess
import sys

SERVER = ("flask", "sqlalchemy", "alembic", "structlog", "prometheus_client", "gunicorn", "pydantic_settings")
ROOMS = ("gateway.client", "gateway.http", "gateway.errors")


def test_importing_the_client_imports_no_server() -> None:
    script = "import sys, gateway.client, gateway.client.keyfile; print('\\n'.join(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = loaded.stdout.split()
    assert "gateway.client.bank" in modules
    assert [name for name in modules if name.partition(".")[0] in SERVER] == []
    assert [name for name in modules if name.startswith("gateway.") and not name.startswith(ROOMS)] == []
