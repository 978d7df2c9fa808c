"""Everything that can go wrong in `keys`, as one tree.

    KeysError
    ├── Malformed              bytes or text that no formatter here would emit
    ├── BadIdentifier          a citizen number or social credit code that cannot exist
    ├── BadSignature           a signature, or the frame around it, that does not hold
    ├── BadShare               a share of a root key that is damaged, of another backup, or one too few
    ├── DecryptionFailed       wrong key, wrong place, or altered bytes: the three are not told apart
    └── CustodyError           the keeper of root and epoch keys cannot do what was asked
        ├── CustodyLocked      wrong passphrase, or the custody was closed
        ├── CustodyPermissions a secret file or directory that others could read or replace
        ├── UnknownKeyName     no key of that name and kind
        └── KeyNameTaken       a key or custody of that name stands already; nothing is overwritten

Messages name the rule that was broken (and the file, in custody), never the value that
broke it: they end up in logs.
"""

from __future__ import annotations


class KeysError(Exception):
    """Root of every error raised by this package."""


class Malformed(KeysError):
    """Input is not in the one form its formatter emits."""


class BadIdentifier(KeysError):
    """A personal or organisational identifier fails its form, date or check digit."""


class BadSignature(KeysError):
    """A signature does not verify, or its header is not the one the profile fixes."""


class BadShare(KeysError):
    """Shares of a root key do not restore it; the message says which and why, never a word of one."""


class DecryptionFailed(KeysError):
    """Authenticated decryption failed. Why is not said, because nobody can know it."""


class CustodyError(KeysError):
    """A custody provider refuses or fails."""


class CustodyLocked(CustodyError):
    """The passphrase is wrong, or the custody has been closed."""


class CustodyPermissions(CustodyError):
    """A secret file or its directory is open to others, a link, or not ours."""


class UnknownKeyName(CustodyError):
    """Custody holds no key of that name and kind."""


class KeyNameTaken(CustodyError):
    """Something stands under that name already. Keys are never overwritten."""
