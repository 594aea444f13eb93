"""What the Hub says of a file, by huggingface_hub. Blocking; imported only when a Hub file is to be resolved."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field

import httpx2
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import OIDCError
from huggingface_hub.utils import logging as hub_logging

from prefetch import __version__
from prefetch.errors import UsageError
from prefetch.net.client import proxy_for
from prefetch.net.credentials import may_carry_secrets
from prefetch.net.urls import SecretURL, redact
from prefetch.sources.access import Access
from prefetch.sources.hub_errors import explain
from prefetch.sources.refs import HuggingFaceRef

__all__ = ["FileFacts", "Hub"]

_TIMEOUT = 15.0  # seconds without a byte


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the Hub said of one file.

    Attributes:
        location: where its bytes are, mostly signed.
        commit: 40 hex digits; None from a mirror that drops the header.
        etag: the validator of the content, unquoted.
        size: bytes; None from a mirror that drops the header.
        token: what was sent along.
    """

    location: SecretURL
    commit: str | None
    etag: str | None
    size: int | None
    token: str | None = field(repr=False)


class Hub:
    """huggingface_hub, set up as a part of this program; one at a time in a process, since its client is global.

    The endpoint is passed with every call (the library reads ``HF_ENDPOINT`` at import), TLS and proxies are those of
    our own session, and the token stays with the endpoint's origin: left alone, the library forwards it from a mirror
    to huggingface.co.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._endpoint = access.hf_endpoint
        # Else the first call asks the Hub for a list of agents, waits for it, and writes it below HF_HOME.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        # Warnings that the server dictates would tear the progress display.
        hub_logging.set_verbosity(logging.ERROR)
        huggingface_hub.set_client_factory(self._client)

    def facts(self, ref: HuggingFaceRef) -> FileFacts:
        """Ask once what ``ref`` is.

        Raises:
            AccessError: gated, private, or a token that is not accepted.
            SourceError: no such repository, revision or file.
            TransientError: out of reach, or too busy.
        """
        if huggingface_hub.is_offline_mode():
            raise UsageError(
                f"{ref} cannot be asked for while HF_HUB_OFFLINE is set.", remedy="Unset it, or use another source."
            )
        token, advice = self._token()
        try:
            url = _url_of(ref, self._endpoint)
            found = huggingface_hub.get_hf_file_metadata(
                url,
                token=token or False,
                timeout=_TIMEOUT,
                library_name="prefetch",
                library_version=__version__,
                endpoint=self._endpoint.reveal(),
            )
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise explain(error, ref, host=self._endpoint.host, sent_token=token is not None, advice=advice) from None
        return FileFacts(SecretURL(found.location), found.commit_hash, found.etag, found.size, token)

    def _token(self) -> tuple[str | None, str]:
        """The token to send, and what to tell a user whom it does not help."""
        if not may_carry_secrets(self._endpoint):
            return None, f"No token is sent to {self._endpoint}, which is neither https nor this machine."
        token = self._access.hf_token
        if token is not None or not self._access.hf_login:
            return token, "Set HF_TOKEN to a token that may read it."
        try:
            token = huggingface_hub.get_token()
        except (OIDCError, OSError, ValueError) as error:
            raise UsageError(f"The stored Hugging Face token cannot be read: {redact(str(error))}.") from None
        return token, "Set HF_TOKEN to a token that may read it."

    def _client(self) -> httpx2.Client:
        proxy = proxy_for(self._endpoint)
        return httpx2.Client(
            verify=ssl.create_default_context(),
            proxy=proxy.reveal() if proxy else None,
            trust_env=False,
            event_hooks={"request": [self._keep_token_home]},
        )

    def _keep_token_home(self, request: httpx2.Request) -> None:
        if SecretURL(str(request.url)).origin != self._endpoint.origin:
            request.headers.pop("Authorization", None)


def _url_of(ref: HuggingFaceRef, endpoint: SecretURL) -> str:
    return huggingface_hub.hf_hub_url(
        ref.repo, ref.path, repo_type=ref.kind, revision=ref.revision, endpoint=endpoint.reveal()
    )
