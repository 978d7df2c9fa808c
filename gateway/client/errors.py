"""What stops a client. A refusal by the gateway is no error: it comes back as a `Refused` value.

ClientError                  (a GatewayError)
├── KeyFileError             the key file cannot be used
│   ├── KeyFileExists        something stands there already; keys are never overwritten
│   ├── KeyFileExposed       a private key that others could read or replace
│   └── KeyFileMalformed     no file, or no JSON Web Key in it
├── WillNotSign              the wallet was shown something its owner did not ask for
├── Unreachable              no reply: whether the gateway acted is unknown
├── UnexpectedReply          a reply outside the API
│   └── EncryptedAnswer      an answer, and no key that opens it
└── EvidenceFailed           a receipt, proof or document that does not say what the reply says: keep it, it
                             is evidence against the gateway
"""

from __future__ import annotations

from gateway.errors import GatewayError


class ClientError(GatewayError):
    """Root of what the clients raise. Messages name the rule, never a person."""


class KeyFileError(ClientError):
    """A key file cannot be read or written."""


class KeyFileExists(KeyFileError):
    """There is a file of that name; a key once lost cannot be made again."""


class KeyFileExposed(KeyFileError):
    """A private key file is open to others, or belongs to somebody else."""


class KeyFileMalformed(KeyFileError):
    """There is no key in the file, or one of another kind."""


class WillNotSign(ClientError):
    """The document is for another gateway, or its notice is not the text that was shown."""


class Unreachable(ClientError):
    """No reply came. The request may have been acted upon: ask again with the same identifier."""


class UnexpectedReply(ClientError):
    """The reply is none that this API has."""


class EncryptedAnswer(UnexpectedReply):
    """The answer is encrypted and no key was given: ask again with the same identifier, and the key."""


class EvidenceFailed(ClientError):
    """The gateway's signed evidence is missing, broken, or contradicts its reply."""
