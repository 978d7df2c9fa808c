from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import sha256, unb64u
from keys.errors import BadSignature, KeysError, Malformed
from keys.notes import Note, Vkey, format_vkey, make_vkey, open_note, parse_vkey, sign_note
from keys.signing import ED25519, generate_key

ORIGIN = "credit.example.cn/log0"
TEXT = f"{ORIGIN}\n1\nAAAA\n"

# The example of the documentation of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
PETERS_NOTE = (
    f"{PETERS_TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg"
    "KvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1
).filter(lambda name: not any(char.isspace() for char in name))
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n")).map(lambda text: text + "\n")


class Signer:
    def __init__(self, name: str = ORIGIN) -> None:
        self.key = generate_key(ED25519, os.urandom)
        self.public = unb64u(self.key.jwk["x"])
        self.vkey = make_vkey(name, self.public)
        self.name = name

    def note(self, text: str = TEXT) -> bytes:
        return sign_note(text, self.name, self.key.sign, self.public)

    def line(self, text: str = TEXT) -> bytes:
        return self.note(text)[len(text.encode()) + 1 :]


def test_the_note_of_the_reference_implementation_opens() -> None:
    assert open_note(PETERS_NOTE, [parse_vkey(PETER)]) == Note(PETERS_TEXT, ("PeterNeumann",))


def test_the_key_id_of_the_reference_implementation() -> None:
    vkey = parse_vkey(PETER)
    assert (vkey.name, vkey.key_id.hex(), vkey.algorithm) == ("PeterNeumann", "c74f20a3", 1)
    assert vkey.key_id == sha256(b"PeterNeumann\n\x01" + vkey.public)[:4]


@given(NAMES, st.binary(min_size=32, max_size=32))
def test_vkeys_round_trip(name: str, seed: bytes) -> None:
    vkey = make_vkey(name, unb64u(generate_key(ED25519, lambda _: seed).jwk["x"]))
    assert parse_vkey(format_vkey(vkey)) == vkey


@given(NAMES, TEXTS)
def test_notes_round_trip(name: str, text: str) -> None:
    signer = Signer(name)
    assert open_note(signer.note(text), [signer.vkey]) == Note(text, (name,))


@pytest.mark.parametrize(
    "text",
    [
        PETER.upper(),
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("c74f20a3", "C74F20A3"),
        PETER.replace("Peter", "peter"),
        PETER.replace("ARpc", "AQpc"),
        PETER.replace("ARpc", "Ahpc"),
        PETER + "=",
        PETER + "\n",
        " " + PETER,
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "\udcff" + PETER,
        "",
    ],
)
def test_a_vkey_with_any_part_altered_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_vkey(text)


def test_a_vkey_of_another_signature_type_is_refused() -> None:
    public = Signer().public
    for algorithm in (0, 2, 4, 255):
        key_id = sha256(f"{ORIGIN}\n".encode() + bytes([algorithm]) + public)[:4]
        with pytest.raises(Malformed):
            parse_vkey(format_vkey(Vkey(ORIGIN, key_id, algorithm, public)))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u3000b", "a\nb", "a\u00a0", "a\x01", "a\ud800"])
def test_names_that_would_blur_the_line_are_refused(name: str) -> None:
    signer = Signer()
    with pytest.raises(Malformed):
        make_vkey(name, signer.public)
    with pytest.raises(Malformed):
        sign_note(TEXT, name, signer.key.sign, signer.public)


@pytest.mark.parametrize(
    "text", ["", "no newline", "tab\t\n", "return\r\n", "null\0\n", "half\udc80\n"], ids=repr
)
def test_texts_that_are_no_note_text_are_not_signed(text: str) -> None:
    with pytest.raises(Malformed):
        Signer().note(text)


def test_a_changed_text_is_refused() -> None:
    signer = Signer()
    with pytest.raises(BadSignature):
        open_note(signer.note().replace(b"\n1\n", b"\n2\n"), [signer.vkey])


def test_an_unknown_key_alone_does_not_open_a_note() -> None:
    note = Signer().note()
    for known in ([], [Signer().vkey], [Signer("other.example/log").vkey]):
        with pytest.raises(BadSignature):
            open_note(note, known)


def test_unknown_signatures_beside_a_known_one_are_ignored() -> None:
    log, witness, unknown = Signer(), Signer("witness.example/w"), Signer("unknown.example/u")
    note = unknown.line() + log.line() + witness.line()
    note = TEXT.encode() + b"\n" + note
    assert open_note(note, [log.vkey]).signers == (ORIGIN,)
    assert open_note(note, [witness.vkey, log.vkey]).signers == (ORIGIN, "witness.example/w")


def test_a_known_key_with_a_bad_signature_condemns_the_note() -> None:
    log, witness = Signer(), Signer("witness.example/w")
    forged = witness.line("another text\n")
    note = log.note() + forged
    assert open_note(note, [log.vkey]).signers == (ORIGIN,)
    with pytest.raises(BadSignature):
        open_note(note, [log.vkey, witness.vkey])


def test_one_key_signing_twice_is_refused() -> None:
    log = Signer()
    with pytest.raises(BadSignature):
        open_note(log.note() + log.line(), [log.vkey])


def test_same_name_with_another_key_is_unknown() -> None:
    """An attacker's key under the log's own name: the key id differs, so it is neither trusted nor fatal."""
    log, attacker = Signer(), Signer()
    with pytest.raises(BadSignature):
        open_note(attacker.note(), [log.vkey])
    assert open_note(log.note() + attacker.line(), [log.vkey]).signers == (ORIGIN,)


def test_a_signature_line_within_the_text_stays_text() -> None:
    log = Signer()
    text = log.note().decode()
    assert open_note(log.note(text), [log.vkey]).text == text


def damaged(note: bytes) -> list[bytes]:
    head, line = note.rsplit(b"\n\n", 1)
    encoded = line.rstrip(b"\n").rsplit(b" ", 1)[1]
    short = base64.b64encode(base64.b64decode(encoded)[:4])
    return [
        b"",
        b"\n\n",
        head + b"\n",
        head + b"\n\n",
        note[:-1],
        note + b"\n",
        note.replace("— ".encode(), b"- "),
        note.replace("— ".encode(), "—  ".encode()),
        note.replace(b"\n", b"\r\n"),
        head + b"\n\n" + line.replace(encoded, encoded.rstrip(b"=")),
        head + b"\n\n" + line.replace(encoded, encoded + b" "),
        head + b"\n\n" + line.replace(encoded, b"*" + encoded[1:]),
        head + b"\n\n" + line.replace(encoded, short),
        note + b"\xff\n",
        head + b"\n\n" + line * 101,
        b"x" * 1_000_001 + note,
    ]


@pytest.mark.parametrize("case", range(16))
def test_damaged_notes_are_malformed(case: int) -> None:
    log = Signer()
    with pytest.raises(Malformed):
        open_note(damaged(log.note())[case], [log.vkey])


@given(st.binary(max_size=120))
def test_noise_never_opens(data: bytes) -> None:
    with pytest.raises(KeysError):
        open_note(data, [parse_vkey(PETER)])


def test_a_signer_that_returns_no_ed25519_signature_is_refused() -> None:
    with pytest.raises(BadSignature):
        sign_note(TEXT, ORIGIN, lambda _: b"short", Signer().public)
