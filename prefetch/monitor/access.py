"""Who may look: one bearer token, one name and password, or everybody."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path

from prefetch.errors import UsageError
from prefetch.net.credentials import Secret
from prefetch.volume.reading import read_file

__all__ = ["BASIC", "TOKEN", "Access", "read_secret"]

TOKEN = "PREFETCH_LISTEN_TOKEN"  # noqa: S105 - the name of a variable
BASIC = "PREFETCH_LISTEN_BASIC"
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must carry.

    Attributes:
        token: for ``Authorization: Bearer``; a browser may give it as the password of any user.
        basic: ``user:password``.
    """

    token: Secret | None = None
    basic: Secret | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str], *, token_file: Path | None, basic_file: Path | None) -> Access:
        """What `TOKEN` and `BASIC`, or these files, hold.

        Raises:
            UsageError: a file cannot be read or is empty, a credential is of no use; it is not shown.
        """
        token = read_secret(environ, TOKEN, token_file)
        basic = read_secret(environ, BASIC, basic_file)
        if basic is not None and not all(basic.reveal().partition(":")):
            raise UsageError(f"{BASIC} is not a name and a password.", remedy="Write it as name:password.")
        return cls(token, basic)

    @property
    def is_open(self) -> bool:
        """Whether everybody may look."""
        return self.token is None and self.basic is None

    def allows(self, authorization: str) -> bool:
        """Whether a request with this header, empty where it has none, may be answered. Takes the same time for all."""
        scheme, _, given = authorization.partition(" ")
        scheme, given = scheme.lower(), given.strip()
        credential, login = _as_sent(given), _decoded(given)
        verdicts = (
            self.is_open,
            scheme == "bearer" and _same(credential, self.token),
            scheme == "basic" and _same(login, self.basic),
            scheme == "basic" and _same(login.partition(b":")[2], self.token),
        )
        return any(verdicts)


def _same(given: bytes, wanted: Secret | None) -> bool:
    return wanted is not None and compare_digest(given, wanted.reveal().encode())


def _as_sent(text: str) -> bytes:
    """The bytes of a header: what in them is no UTF-8 came as lone surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _decoded(text: str) -> bytes:
    try:
        return b64decode(_as_sent(text), validate=True)
    except ValueError:
        return b""


def read_secret(environ: Mapping[str, str], name: str, file: Path | None) -> Secret | None:
    """What the variable holds, or else the file; None where there is neither.

    Raises:
        UsageError: the file cannot be read or is empty, or it is no text for a header; the text is not shown.
    """
    text = environ.get(name, "").strip()
    if not text and file is not None:
        text = _in_file(file, name)
    if not text:
        return None
    if not text.isprintable() or not text.isascii():
        raise UsageError(f"{name} holds characters that no header can carry.", remedy="Use letters, digits and signs.")
    return Secret(text)


def _in_file(file: Path, name: str) -> str:
    try:
        text = read_file(file, most=_LONGEST).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(
            f"The file that {name}_FILE names cannot be read: {error.strerror}.",
            remedy="Mount the secret, or unset it.",
        ) from None
    if not text:
        # To go on would leave open what was meant to be closed.
        raise UsageError(f"The file that {name}_FILE names is empty.", remedy="Mount the secret, or unset it.")
    return text
