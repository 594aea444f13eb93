"""What the user's environment says about hosts: the endpoints of the Hub and of Civitai, and the tokens for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prefetch.errors import UsageError
from prefetch.net.urls import SecretURL

__all__ = ["Access"]

_HUB = "https://huggingface.co"
_CIVITAI = "https://civitai.com"
_LONGEST_TOKEN = 4096
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_TRUE = frozenset({"1", "on", "yes", "true"})


@dataclass(frozen=True, slots=True)
class Access:
    """Endpoints and tokens; its ``repr()`` shows no token.

    Attributes:
        hf_endpoint: where the Hub is, without a slash at its end.
        hf_token: the token the environment gives for it.
        hf_login: whether the token that ``hf auth login`` stored may be used where the environment gives none.
        civitai_endpoint: where Civitai is, without a slash at its end.
        civitai_token: the token the environment gives for it.
    """

    hf_endpoint: SecretURL = field(default_factory=lambda: SecretURL(_HUB))
    hf_token: str | None = field(default=None, repr=False)
    hf_login: bool = True
    civitai_endpoint: SecretURL = field(default_factory=lambda: SecretURL(_CIVITAI))
    civitai_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Access:
        """Read ``HF_ENDPOINT``, ``HF_TOKEN``, ``HUGGING_FACE_HUB_TOKEN``, ``HF_HUB_DISABLE_IMPLICIT_TOKEN``,
        ``CIVITAI_API_TOKEN`` and ``PREFETCH_CIVITAI_ENDPOINT``. A token may stand in a file that ``NAME_FILE`` names.

        Raises:
            UsageError: an endpoint that is no address, or a token that no request can carry.
        """
        implicit = environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() not in _TRUE
        return cls(
            _endpoint(environ, "HF_ENDPOINT", _HUB),
            _token(environ, _TOKENS),
            hf_login=implicit,
            civitai_endpoint=_endpoint(environ, "PREFETCH_CIVITAI_ENDPOINT", _CIVITAI),
            civitai_token=_token(environ, ("CIVITAI_API_TOKEN",)),
        )


def _endpoint(environ: Mapping[str, str], name: str, usual: str) -> SecretURL:
    remedy = f"Write it as https://host, or leave it out for {usual}."
    text = environ.get(name, "").strip().rstrip("/") or usual
    try:
        url = SecretURL(text)
    except ValueError as error:
        raise UsageError(f"{name} is {error}.", remedy=remedy) from None
    if url.has_userinfo or "?" in text or "#" in text:
        raise UsageError(f"{name} carries more than a host and a path.", remedy=remedy)
    return url


def _token(environ: Mapping[str, str], names: Iterable[str]) -> str | None:
    """The first token that one of ``names``, or a file that ``NAME_FILE`` names, gives."""
    for name in names:
        token = environ.get(name, "").strip() or _in_file(environ, f"{name}_FILE")
        if not token:
            continue
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise UsageError(
                f"{name} holds characters that no token has.", remedy="Copy the token anew, without quotes."
            )
        return token
    return None


def _in_file(environ: Mapping[str, str], name: str) -> str:
    path = environ.get(name, "")
    if not path:
        return ""
    try:
        with Path(path).open("rb") as file:
            return file.read(_LONGEST_TOKEN).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(
            f"The file that {name} names cannot be read: {error.strerror}.", remedy="Mount the secret, or unset it."
        ) from None
