"""Files of a user's own, written whole or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path

from prefetch.errors import UsageError

__all__ = ["write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, in place of what stands there.

    Raises:
        UsageError: the directory or the disk refuses.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            draft.write_bytes(data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", remedy="Check the directory's rights and space."
        ) from None
