"""A gateway that really runs behind the nginx that ships: `chengxin serve` on SQLite, TLS in front.

The shipped files are what runs. Only what an installation changes as well is put in: name, ports, the paths
of certificate and logs.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.client.bank import BankClient
from gateway.client.citizen import CitizenClient
from gateway.publishing import PublishingThread
from keys.signing import PrivateKey
from tests.deploy.tools import DEPLOY, tool
from tests.gateway.workers.served import Server, start, until
from tests.gateway.world import Citizen, SettableClock, World, _people, new_house
from tests.ports import free_port

LIMIT = 5
SHIPPED = DEPLOY / "nginx"


@dataclass
class Nginx:
    """One nginx, in a directory of its own."""

    folder: Path
    tls: int
    plain: int
    scraped: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.tls}"

    def substitutions(self, gateway: int, metrics: int) -> dict[str, str]:
        """What the shipped files say -> what stands there in this test. Longer ones come first."""
        return {
            "https://credit.example.cn": self.url,
            "credit.example.cn": "localhost",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.tls} ssl http2;",
            "listen [::]:443 ssl http2;": f"listen [::1]:{self.tls} ssl http2;",
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen [::]:80;": f"listen [::1]:{self.plain};",
            "listen 9461;": f"listen 127.0.0.1:{self.scraped};",
            "127.0.0.1:8460": f"127.0.0.1:{gateway}",
            "127.0.0.1:9460": f"127.0.0.1:{metrics}",
            "/etc/chengxin/tls/": f"{self.folder}/",
            "/etc/nginx/conf.d/": f"{self.folder}/conf.d/",
            "/var/log/nginx/": f"{self.folder}/",
            "/tmp/": f"{self.folder}/tmp/",
        }

    def write(self, gateway: int, metrics: int) -> None:
        """The shipped files with that put in. Everything that is to be put in must be there."""
        (self.folder / "conf.d").mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        texts = {
            name: (SHIPPED / name).read_text("utf-8")
            for name in ("nginx.conf", "chengxin.conf", "metrics.conf")
        }
        put_in = self.substitutions(gateway, metrics)
        for old in put_in:
            assert any(old in text for text in texts.values()), f"nowhere in {SHIPPED.name}: {old}"
        wanted = re.compile("|".join(map(re.escape, put_in)))  # in one pass: what was put in is not looked at
        texts = {name: wanted.sub(lambda found: put_in[found[0]], text) for name, text in texts.items()}
        (self.folder / "nginx.conf").write_text(texts.pop("nginx.conf"))
        for name, text in texts.items():
            (self.folder / "conf.d" / name).write_text(text)
        write_certificate(self.folder)

    def command(self, *more: str) -> list[str]:
        path = tool("nginx", "nginx")
        return [path, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *more]

    def start(self) -> None:
        errors = (self.folder / "stderr").open("wb")
        with errors:
            self.process = subprocess.Popen(
                self.command("-g", "daemon off;"), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
        until(self._listening, "nginx listens")

    def _listening(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "stderr").read_text()
        try:
            httpx.get(f"http://localhost:{self.plain}/", trust_env=False)
        except httpx.TransportError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)

    def said(self) -> str:
        """Everything it wrote to its logs."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


def write_certificate(folder: Path) -> None:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(private)
    (folder / "privkey.pem").chmod(0o600)


@dataclass(kw_only=True)
class ProxiedWorld(World):
    """A world whose clients go through TLS, and are closed with it."""

    folder: Path
    closing: ExitStack

    def http(self, **more: Any) -> httpx.Client:
        """A client that trusts this nginx's certificate."""
        trusted = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        return self.closing.enter_context(httpx.Client(verify=trusted, trust_env=False, timeout=60, **more))

    def bank(self, key: PrivateKey | None = None, http: httpx.Client | None = None) -> BankClient:
        return BankClient(self.url, key or self.bank_key, http=http or self.http(), **self.pins())

    def citizen(
        self, number: str, name: str = "测试", alg: str = "Ed25519", *, enrol: bool = True
    ) -> Citizen:
        citizen = super().citizen(number, name, alg, enrol=False)
        client = CitizenClient(self.url, citizen.key, http=self.http(), **self.pins())
        assert not enrol or isinstance(client.enrol(citizen.certificate, number), int)
        return Citizen(number, name, citizen.key, client, citizen.certificate)


@dataclass
class Proxied:
    """A gateway, the nginx in front of it, and everybody around."""

    world: ProxiedWorld
    server: Server
    nginx: Nginx


@contextmanager
def proxied(home: Path, folder: Path) -> Iterator[Proxied]:
    """A served installation behind nginx, both ended on leaving."""
    nginx = Nginx(folder, free_port(), free_port(), free_port())
    settings = {
        "public_url": nginx.url,
        "host": "127.0.0.1",
        "trusted_proxies": "127.0.0.1",
        "bad_signatures_per_minute": LIMIT,
    }
    house = new_house(home, clock := SettableClock(), **settings)
    with closing(house.custody), ExitStack() as ending:
        ending.callback(house.engine.dispose)
        people = _people(house, PublishingThread(house), None, clock)  # type: ignore[arg-type]
        told = {one.name: getattr(people, one.name) for one in fields(World) if one.init}
        nginx.write(house.settings.port, house.settings.metrics_port)
        server = start(house.settings, home / "server.out")
        ending.callback(server.stop)
        ending.callback(nginx.stop)
        nginx.start()
        world = ProxiedWorld(**told, folder=folder, closing=ending)
        until(lambda: server.said("serving") >= 1, "the gateway serves")
        yield Proxied(world, server, nginx)
