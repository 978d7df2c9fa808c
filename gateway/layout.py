"""Where an installation's files lie: never so that one theft, or one restore, takes what guards something and
the thing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.settings import Settings


def check_layout(settings: Settings) -> None:
    """Raises `ValueError` naming the settings that are to be moved apart.

    The log's directory is published: no secret, database or outside checkpoint lies in it. The passphrase is
    not copied with the custody, and the checkpoint not restored with the database.
    """
    private = {
        "passphrase_file": settings.passphrase_file,
        "custody_dir": settings.custody_dir,
        "database_url": settings.database_file,
        "database_password_file": settings.database_password_file,
        "database_owner_password_file": settings.database_owner_password_file,
        "smtp_password_file": settings.smtp_password_file,
        "sms_token_file": settings.sms_token_file,
        "checkpoint_copy": settings.checkpoint_copy,
    }
    for key, path in private.items():
        if path is not None and path.is_relative_to(settings.log_dir):
            raise ValueError(f"log_dir is published and {key} lies inside it: move one of them")
    if settings.passphrase_file.is_relative_to(settings.custody_dir):
        raise ValueError("passphrase_file lies inside custody_dir: whoever copies one would have both")
    if (
        settings.database_file is not None
        and settings.checkpoint_copy.parent == settings.database_file.parent
    ):
        raise ValueError("checkpoint_copy lies beside the database: both would be restored together")
