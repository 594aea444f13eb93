"""Secrets of the environment: in a variable, or in the file that ``NAME_FILE`` names, as container secrets come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prefetch.errors import UsageError
from prefetch.net.credentials import Secret, Token
from prefetch.volume.reading import read_file

__all__ = ["read_text", "read_token"]

_LONGEST = 64 << 10
_REFERENCE = "{{ RUNPOD_SECRET_"


def read_token(environ: Mapping[str, str], names: Iterable[str]) -> Token | None:
    """The first token that one of ``names``, or a file that ``NAME_FILE`` names, gives; None where none does.

    Raises:
        UsageError: the file cannot be read, or what it holds is no token. The sentence shows nothing of it.
    """
    for name in names:
        text, found_in = read_text(environ, name)
        if not text:
            continue
        if _REFERENCE in text:
            raise UsageError(
                f"{found_in} holds the reference to a RunPod secret, and not the secret.",
                remedy="RunPod puts a secret in that it knows by this name: see to it in its console, under Secrets.",
            )
        if not (text.isascii() and text.isprintable() and " " not in text):
            raise UsageError(
                f"{found_in} holds characters that no token has.", remedy="Copy the token anew, without quotes."
            )
        return Token(Secret(text), found_in)
    return None


def read_text(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """What the variable ``name``, or else the file that ``NAME_FILE`` names, holds, and which of the two it was."""
    text = environ.get(name, "").strip()
    file = f"{name}_FILE"
    path = environ.get(file, "").strip()
    if text or not path:
        return text, name
    try:
        return read_file(path, most=_LONGEST).decode("utf-8", "replace").strip(), file
    except OSError as error:
        raise UsageError(
            f"The file that {file} names cannot be read: {error.strerror}.", remedy="Mount the secret, or unset it."
        ) from None
