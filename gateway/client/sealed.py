"""What an answer says, out of the reply that brings it: in clear, or encrypted to the institution's own key.

Invariant: an institution that gave its key gets no answer in clear, so a reply that is not encrypted is
refused; and what was opened counts no more than what came in clear until the receipt covers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.client.errors import EncryptedAnswer, EvidenceFailed, UnexpectedReply
from keys.canonical import parse_canonical
from keys.errors import DecryptionFailed, KeysError
from keys.jwe import open_answer
from keys.signing import Jwk


def content_of(reply: Mapping[str, Any], key: Jwk | None) -> dict[str, Any]:
    """The answer in a reply; `key` is the private X25519 JWK that it is encrypted to, if there is one.

    Raises EncryptedAnswer without the key, UnexpectedReply for a reply of another form, EvidenceFailed for
    what does not open.
    """
    if ("jwe" in reply) == ("answer" in reply):
        raise UnexpectedReply("the reply carries no answer")
    if key is None and "jwe" in reply:
        raise EncryptedAnswer("the answer is encrypted and no key was given that opens it")
    if key is not None and "answer" in reply:
        raise UnexpectedReply("the answer is not encrypted to this institution's key")
    content = reply["answer"] if key is None else _opened(reply["jwe"], key)
    if not isinstance(content, dict):
        raise UnexpectedReply("the reply carries no answer")
    return content


def _opened(token: object, key: Jwk) -> object:
    if not isinstance(token, str):
        raise UnexpectedReply("an encrypted answer is a compact JWE")
    try:
        return parse_canonical(open_answer(token, key))
    except DecryptionFailed:
        raise EvidenceFailed("the encrypted answer does not open with this key") from None
    except KeysError:
        raise UnexpectedReply("the encrypted answer is not of the one form that is accepted") from None
