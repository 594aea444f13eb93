"""What the user's environment says about hosts: the Hub's endpoint and the token for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prefetch.errors import UsageError
from prefetch.net.urls import SecretURL

__all__ = ["Access"]

_HUB = "https://huggingface.co"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_TRUE = frozenset({"1", "on", "yes", "true"})


@dataclass(frozen=True, slots=True)
class Access:
    """Endpoints and tokens; its ``repr()`` shows no token.

    Attributes:
        hf_endpoint: where the Hub is, without a slash at its end.
        hf_token: the token the environment gives for it.
        hf_login: whether the token that ``hf auth login`` stored may be used where the environment gives none.
    """

    hf_endpoint: SecretURL = field(default_factory=lambda: SecretURL(_HUB))
    hf_token: str | None = field(default=None, repr=False)
    hf_login: bool = True

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Access:
        """Read ``HF_ENDPOINT``, ``HF_TOKEN``, ``HUGGING_FACE_HUB_TOKEN`` and ``HF_HUB_DISABLE_IMPLICIT_TOKEN``.

        Raises:
            UsageError: an endpoint that is no address, or a token that no request can carry.
        """
        implicit = environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() not in _TRUE
        return cls(_endpoint(environ), _token(environ), hf_login=implicit)


def _endpoint(environ: Mapping[str, str]) -> SecretURL:
    remedy = "Write it as https://host, or leave it out for https://huggingface.co."
    text = environ.get("HF_ENDPOINT", "").strip().rstrip("/") or _HUB
    try:
        url = SecretURL(text)
    except ValueError as error:
        raise UsageError(f"HF_ENDPOINT is {error}.", remedy=remedy) from None
    if url.has_userinfo or "?" in text or "#" in text:
        raise UsageError("HF_ENDPOINT carries more than a host and a path.", remedy=remedy)
    return url


def _token(environ: Mapping[str, str]) -> str | None:
    for name in _TOKENS:
        token = environ.get(name, "").strip()
        if not token:
            continue
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise UsageError(
                f"{name} holds characters that no token has.", remedy="Copy the token anew, without quotes."
            )
        return token
    return None
