"""Everything that can go wrong below a command, in one table: what is said, and what to do about it.

Invariant: the line that comes out of it is one line, ends with what to do, and holds no value of a
person. What no row foresees is a bug, and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator

import click


class Failure(click.ClickException):
    """A failure that anybody can foresee: one line, exit status 1."""


def line_of(error: BaseException) -> str | None:
    """The one line that is said of an error, or None for what nobody foresaw."""
    said = next((words for kind, words in _table() if isinstance(error, kind)), None)
    if said is None:
        return _of_the_system(error)
    message = _message(error)
    return f"{message}: {said}" if said else message


def _message(error: BaseException) -> str:
    from gateway.errors import Rejected
    from gateway.http.problems import problem

    text = "; ".join(part.strip() for part in str(error).splitlines() if part.strip())
    if isinstance(error, Rejected) and not error.detail:
        row = problem(error.problem)
        return f"{row.title_en}: {row.hint_en}"
    return (text or type(error).__name__).rstrip(".")


def _of_the_system(error: BaseException) -> str | None:
    """Errors of the machine: files, disks, the database, the network."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}: check the path, its owner and the free space"
    if isinstance(error, UnicodeDecodeError):
        return "a file is not UTF-8 text: save it as UTF-8"
    module = type(error).__module__.partition(".")[0]
    if module == "sqlalchemy":
        named = type(error).__name__
        return f"the database cannot be used ({named}): check that what database_url names is there"
    if module == "httpx":
        return f"no reply from the gateway ({type(error).__name__}): check that it is running, and --url"
    return None


def _table() -> Iterator[tuple[type[BaseException], str]]:
    """Kind of error, and what to do if its message does not say so itself. The first that fits counts."""
    from consent import errors as consent
    from gateway import errors as gateway
    from gateway.client import errors as client
    from gateway.config import SettingsError
    from gateway.http.profile import SignatureRefused
    from gateway.records.mapping import MalformedMapping
    from gateway.records.table import MalformedFile
    from keys import errors as keys
    from ledger import errors as ledger

    yield SettingsError, "correct it and try again"
    yield MalformedMapping, "correct the mapping file"
    yield MalformedFile, "correct it and run the import again; what was stored before stays as it is"
    yield gateway.NotReady, ""
    yield gateway.LedgerUnavailable, "nothing was done; check the disk and try again"
    yield gateway.EvidenceBroken, "the database was changed from outside; export the ledger and verify it"
    yield gateway.Rejected, ""
    yield gateway.PolicyRefused, "see `chengxin policy show`; nothing was changed"
    yield client.KeyFileMalformed, "give the file that the matching keygen made"
    yield client.KeyFileError, ""
    yield client.Unreachable, "check that the gateway is running (`chengxin serve`), and --url"
    yield client.EncryptedAnswer, "send the same again with --decryption-key FILE"
    yield client.UnexpectedReply, "check that --url is a Chengxin gateway's public address"
    yield client.EvidenceFailed, "keep what you have, it is evidence; check --vkey and --receipt-key"
    yield client.WillNotSign, "ask the institution for another request, made for this gateway"
    yield SignatureRefused, "an operator's key is Ed25519; `consent status` takes a citizen's with --citizen"
    yield gateway.GatewayError, ""
    yield keys.CustodyLocked, "check custody and passphrase_file in `chengxin config show`"
    yield keys.CustodyPermissions, "make it yours alone (chmod 600 the file, 700 the directory)"
    yield keys.CustodyError, "check custody_dir and passphrase_file in `chengxin config show`"
    yield keys.BadShare, ""
    yield keys.BadIdentifier, "correct it and try again"
    yield keys.KeysError, "give the file or value that is meant here"
    yield consent.BadCertificate, "have the registrar's officers make it again"
    yield consent.MalformedPolicy, "`chengxin policy lint` on its TOML files says all that is wrong"
    yield consent.ConsentError, "give the document that is meant here, unaltered"
    yield ledger.Finding, "the export is not in order; run `chengxin ledger verify` on it"
    yield (
        ledger.HeadBehind,
        "the state was put back to an older one; nothing is signed until it is complete again",
    )
    yield ledger.BrokenCheckpoint, "check --vkey, or export again"
    yield ledger.LogBusy, "try again in a moment"
    yield ledger.MalformedLeaf, "correct the value"
    yield ledger.LedgerError, "run `chengxin ledger export` and verify it"
