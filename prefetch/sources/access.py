"""What the user's environment says about hosts: the endpoints of the Hub and of Civitai, and who gets which secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prefetch.errors import UsageError
from prefetch.net.credentials import Credential, Token, may_carry_secrets
from prefetch.net.urls import OriginKey, SecretURL
from prefetch.sources.own_headers import read_own_headers
from prefetch.sources.tokens import CIVITAI, HUB, misnamed, read_token

__all__ = ["Access"]

_HUB = "https://huggingface.co"
_CIVITAI = "https://civitai.com"
_CIVITAI_RED = "https://civitai.red"
_CIVITAI_ENDPOINT = "PREFETCH_CIVITAI_ENDPOINT"
_TRUE = frozenset({"1", "on", "yes", "true"})


@dataclass(frozen=True, slots=True)
class Access:
    """Endpoints and secrets; its ``repr()`` shows none of them.

    Attributes:
        hf_endpoint: where the Hub is, without a slash at its end.
        hf_token: the token the environment gives for it.
        hf_login: whether the token that ``hf auth login`` stored may be used where the environment gives none.
        civitai_endpoint: where Civitai is, without a slash at its end.
        civitai_other: its other name, which is asked for what the first one does not give; None where the user named
            an endpoint, beside which no other is asked.
        civitai_token: the token the environment gives for it.
        own: the headers the user's settings give, each for one origin; they come after a host's usual token.
        hf_misnamed, civitai_misnamed: a variable that seems to hold the token, and that nobody reads.
    """

    hf_endpoint: SecretURL = field(default_factory=lambda: SecretURL(_HUB))
    hf_token: Token | None = None
    hf_login: bool = True
    civitai_endpoint: SecretURL = field(default_factory=lambda: SecretURL(_CIVITAI))
    civitai_other: SecretURL | None = field(default_factory=lambda: SecretURL(_CIVITAI_RED))
    civitai_token: Token | None = None
    own: tuple[Credential, ...] = ()
    hf_misnamed: str | None = None
    civitai_misnamed: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Access:
        """Read ``HF_ENDPOINT``, ``HF_TOKEN``, ``HUGGING_FACE_HUB_TOKEN``, ``HF_HUB_DISABLE_IMPLICIT_TOKEN``,
        ``CIVITAI_API_TOKEN``, ``PREFETCH_CIVITAI_ENDPOINT``, ``PREFETCH_TOKENS`` and ``PREFETCH_HEADERS``. A secret may
        stand in a file that ``NAME_FILE`` names.

        Raises:
            UsageError: an endpoint that is no address, or a secret that no request can carry.
        """
        other = None if environ.get(_CIVITAI_ENDPOINT, "").strip() else SecretURL(_CIVITAI_RED)
        implicit = environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() not in _TRUE
        return cls(
            _endpoint(environ, "HF_ENDPOINT", _HUB),
            read_token(environ, HUB),
            hf_login=implicit,
            civitai_endpoint=_endpoint(environ, _CIVITAI_ENDPOINT, _CIVITAI),
            civitai_other=other,
            civitai_token=read_token(environ, CIVITAI),
            own=read_own_headers(environ),
            hf_misnamed=misnamed(environ, HUB),
            civitai_misnamed=misnamed(environ, CIVITAI),
        )

    def credentials(self, url: SecretURL, token: Token | None) -> tuple[Credential, ...]:
        """What requests that begin at ``url`` may carry: the host's usual ``token``, and the user's own headers."""
        if token is None or not may_carry_secrets(url):
            return self.own
        return (Credential.bearer(url.origin, token.secret), *self.own)

    def has_own(self, origin: OriginKey) -> bool:
        """Whether the user's settings give a header for ``origin``."""
        return any(item.origin == origin for item in self.own)


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
