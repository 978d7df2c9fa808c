"""Notices by e-mail, to a real server: delivered under TLS, retried, given up; nothing personal in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.notices import outbox
from gateway.notices.outbox import MOST_ATTEMPTS, MOST_WAIT_MS, counts, forget_settled, send_due
from gateway.notices.senders import Later, Message, Sent, senders_of
from gateway.notices.templates import LANGUAGES, TEMPLATES, render
from keys.instant import DAY
from tests.gateway import kit
from tests.gateway.certificates import Certified, certified
from tests.gateway.notices.mail import PASSWORD, USER, MailServer, mail_server
from tests.gateway.world import Citizen, World, new_world

ADDRESS = "zhang.san+credit@mail.example.cn"


@dataclass
class Post:
    """A world whose notices go to a mail server, and a citizen who left an address."""

    world: World
    server: MailServer
    citizen: Citizen

    def go(self) -> int:
        return send_due(self.world.house, lambda: False)

    def states(self) -> dict[str, int]:
        return {row["state"]: row["count"] for row in counts(self.world.house)}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def post(engine: str, tls: Certified, tmp_path: Path) -> Iterator[Post]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "smtp-password").write_text(PASSWORD)
    (home / "smtp-password").chmod(0o600)
    with mail_server(tls) as server:
        settings = {
            "notice_email": "smtp",
            "smtp_host": "localhost",
            "smtp_port": server.port,
            "smtp_ca_file": str(tls.authority),
            "smtp_from": "notice@credit.example.cn",
            "smtp_user": USER,
            "smtp_password_file": "smtp-password",
        }
        with new_world(home, **settings) as world:
            citizen = world.citizen(kit.NUMBER)
            assert citizen.client.put_contact("email", ADDRESS, "en") == {
                "channel": "email",
                "address": ADDRESS,
                "language": "en",
            }
            send_due(world.house, lambda: False)  # the log is read from here on
            yield Post(world, server, citizen)


def test_a_notice_is_delivered_and_says_only_that_there_is_news(post: Post) -> None:
    world = post.world
    world.import_records([kit.loan()])
    consent = world.consent(post.citizen)
    world.query(consent)
    world.withdraw(post.citizen, consent)
    assert post.go() == 4
    url = world.house.settings.public_url
    said = {message.get_content().replace("\r\n", "\n") for _, message in post.server.delivered}
    wanted = ("consent-requested", "consent-granted", "accessed", "consent-withdrawn")
    assert said == {render(template, "en", url).whole for template in wanted}
    for recipients, message in post.server.delivered:
        assert recipients == [ADDRESS]
        assert message["To"] == ADDRESS
        assert message["From"] == "notice@credit.example.cn"
        assert message["Auto-Submitted"] == "auto-generated"
        assert re.fullmatch(r"<[0-9a-f]{32}@credit\.example\.cn>", message["Message-ID"])
        rest = {name for name in message if name not in ("To", "From")}
        assert rest == {
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "Content-Type",
            "MIME-Version",
            "Content-Transfer-Encoding",
        } | ({"X-Peer", "X-MailFrom", "X-RcptTo"} & rest)
    assert post.go() == 0


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_is_filled_in_but_the_public_address(template: str, language: str) -> None:
    one, other = (render(template, language, url) for url in ("https://a.example", "https://b.example"))
    for first, second in ((one.whole, other.whole), (one.short, other.short), (one.subject, other.subject)):
        assert first.replace("https://a.example", "https://b.example") == second
    bare = one.whole.replace("https://a.example", "")
    assert not re.search(r"[0-9{}]|https?:", bare)
    assert ("信用" in bare) == (language == "zh-CN")


def test_many_accesses_of_one_day_are_one_notice(post: Post) -> None:
    world = post.world
    consent = world.consent(post.citizen)
    for _ in range(3):
        world.query(consent)
        post.go()
    bodies = [message.get_content() for _, message in post.server.delivered]
    assert sum("looked at today" in body for body in bodies) == 1
    world.clock.offset += DAY
    world.query(world.consent(post.citizen))
    post.go()
    bodies = [message.get_content() for _, message in post.server.delivered]
    assert sum("looked at today" in body for body in bodies) == 2


def test_who_left_no_address_is_sent_nothing_and_nobody_either(post: Post) -> None:
    world = post.world
    world.consent(world.citizen(kit.OTHER_NUMBER))
    assert post.go() == 0
    world.consent(post.citizen)
    post.citizen.client.drop_contacts()
    assert post.go() == 0
    assert post.states() == {}
    assert post.citizen.client.contacts() == {"contacts": []}


def test_a_temporary_refusal_is_tried_again_under_the_same_id(post: Post) -> None:
    world = post.world
    post.server.refuse_recipient.append("451 try later")
    world.ask(post.citizen)
    assert post.go() == 0
    assert post.states() == {"waiting": 1}
    [before] = kit.insider(world.house, "SELECT notice FROM outbox")
    assert post.go() == 0  # not due yet
    world.clock.offset += MOST_WAIT_MS
    assert post.go() == 1
    [(_, message)] = post.server.delivered
    assert bytes(before[0]).hex() in message["Message-ID"]
    assert post.states() == {"sent": 1}


def test_a_permanent_refusal_is_final_and_counted(post: Post, capsys: pytest.CaptureFixture[str]) -> None:
    world = post.world
    counter = outbox.metrics.NOTICES.labels("email", "dead")
    dead = counter._value.get()
    for refusals in (post.server.refuse_recipient, post.server.refuse_message):
        refusals.append("550 no such user here")
    for _ in range(2):
        world.ask(post.citizen)
        assert post.go() == 0
    assert post.states() == {"dead": 2}
    assert counter._value.get() == dead + 2
    said = capsys.readouterr().out
    assert "notice.failed" in said
    assert ADDRESS not in said
    world.clock.offset += 31 * DAY
    assert forget_settled(world.house) == 2


def test_given_up_after_so_many_tries(post: Post) -> None:
    post.server.refuse_message.extend(["421 busy"] * MOST_ATTEMPTS)
    post.world.ask(post.citizen)
    for _ in range(MOST_ATTEMPTS + 2):
        assert post.go() == 0
        post.world.clock.offset += MOST_WAIT_MS
    assert post.states() == {"dead": 1}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"smtp_ca_file": None}, "tls"),
        ({"smtp_port": 1}, "unreachable"),
        ({"smtp_user": "somebody"}, "not-authenticated"),
    ],
)
def test_without_certificate_server_or_password_nothing_is_sent(
    post: Post, changed: dict[str, object], why: str
) -> None:
    settings = post.world.house.settings.model_copy(update=changed)
    message = Message("00" * 16, ADDRESS, render("test", "en", "https://x.example"), 0)
    assert senders_of(settings)["email"].send(message) == Later(why)
    assert senders_of(post.world.house.settings)["email"].send(message) == Sent()
    assert ADDRESS not in repr(message)


def test_an_address_stands_nowhere_in_clear(post: Post) -> None:
    world = post.world
    world.ask(post.citizen)
    post.go()
    for table in ("contacts", "outbox", "ledger_leaves"):
        assert ADDRESS.encode() not in repr(kit.insider(world.house, f"SELECT * FROM {table}")).encode()
    kit.insider(world.house, "UPDATE contacts SET address = zeroblob(80)")
    world.ask(post.citizen)
    assert post.go() == 0
    assert post.states() == {"sent": 1, "dead": 1}


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "a@b.cn\r\nBcc: c@d.cn"),
        ("email", "a,b@c.cn"),
        ("email", '"a b"@c.cn'),
        ("email", "a@" + "b" * 70 + ".cn"),
        ("email", "+8613800000000"),
        ("sms", "13800000000"),
        ("sms", "+8612800000000"),
        ("sms", "+86138000000001"),
        ("sms", ADDRESS),
        ("post", ADDRESS),
    ],
)
def test_what_is_no_address_is_refused(post: Post, channel: str, address: str) -> None:
    body = {"channel": channel, "address": address, "language": "en"}
    reply = kit.citizens_request(post.world, post.citizen.key, "PUT", "/v1/me/contact", body).send()
    kit.check_problem(reply, 400, "malformed-body")
    assert address not in reply.text
