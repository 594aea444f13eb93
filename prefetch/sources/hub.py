"""What the Hub says of a file, by huggingface_hub. Blocking; imported only when a Hub file is to be resolved."""

from __future__ import annotations

import itertools
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx2
import huggingface_hub
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import OIDCError
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import logging as hub_logging

from prefetch import __version__
from prefetch.errors import SourceError, TransientError, UsageError
from prefetch.net.client import proxy_for
from prefetch.net.credentials import Secret, Token, headers_for, may_carry_secrets
from prefetch.net.pauses import Pauses
from prefetch.net.quoting import Sent
from prefetch.net.urls import SecretURL, redact
from prefetch.sources.access import Access
from prefetch.sources.hub_errors import explain
from prefetch.sources.listing import Listed, Listing
from prefetch.sources.refs.hub import HuggingFaceRef, HuggingFolderRef
from prefetch.sources.tokens import HUB, name_it

__all__ = ["FileFacts", "Hub"]

T = TypeVar("T")

_TIMEOUT = 15.0  # seconds without a byte
_CONNECT_TIMEOUT = 4.0  # seconds for each of a host's addresses, of which the first may lead nowhere
_MOST_FILES = 20_000


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the Hub said of one file.

    Attributes:
        location: where its bytes are, mostly signed; None from a listing, which does not tell.
        commit: 40 hex digits; None from a mirror that drops the header.
        etag: the validator of the content, unquoted.
        size: bytes; None from a mirror that drops the header.
        token: what was sent along.
    """

    location: SecretURL | None
    commit: str | None
    etag: str | None
    size: int | None
    token: Token | None


class Hub:
    """huggingface_hub, set up as a part of this program; one at a time in a process, since its client is global.

    The endpoint is passed with every call (the library reads ``HF_ENDPOINT`` at import), TLS and proxies are those of
    our own session, and the token stays with the endpoint's origin: left alone, the library forwards it from a mirror
    to huggingface.co.

    Args:
        pauses: told of what the Hub says of its limits.
    """

    def __init__(self, access: Access, pauses: Pauses | None = None) -> None:
        self._access = access
        self._pauses = pauses or Pauses()
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
        found, token = self._ask(
            ref,
            lambda token: huggingface_hub.get_hf_file_metadata(
                _url_of(ref, self._endpoint),
                token=token.secret.reveal() if token else False,
                timeout=_TIMEOUT,
                library_name="prefetch",
                library_version=__version__,
                endpoint=self._endpoint.reveal(),
            ),
        )
        return FileFacts(SecretURL(found.location), found.commit_hash, found.etag, found.size, token)

    def revision(self, ref: HuggingFaceRef | HuggingFolderRef) -> tuple[str, bool]:
        """The commit that the revision of ``ref`` is, and whether the repository may be gated; raises as `facts`."""
        info, _ = self._ask(
            ref,
            lambda token: self._api(token).repo_info(
                ref.repo, repo_type=ref.kind, revision=ref.revision, timeout=_TIMEOUT
            ),
        )
        if not info.sha:
            raise SourceError(f"{self._endpoint.host} tells no commit of {ref.repo_path}.")
        return info.sha, getattr(info, "gated", None) is not False

    def listed(self, refs: Sequence[HuggingFaceRef], commit: str) -> dict[HuggingFaceRef, FileFacts]:
        """What a listing says of files of one repository at ``commit``, without those it has not; raises as `facts`."""
        by_path = {ref.path: ref for ref in refs}
        first = refs[0]
        found, _ = self._ask(
            first,
            lambda token: self._api(token).get_paths_info(
                first.repo, list(by_path), repo_type=first.kind, revision=commit
            ),
        )
        files = [item for item in found if isinstance(item, RepoFile) and item.path in by_path]
        return {by_path[file.path]: _listed(file, commit) for file in files}

    def tree(self, folder: HuggingFolderRef) -> Listing:
        """All files below ``folder``, at the commit its revision is now; raises as `facts`."""
        commit, _ = self.revision(folder)
        found, _ = self._ask(
            folder,
            lambda token: _first(
                self._api(token).list_repo_tree(
                    folder.repo, folder.path or None, recursive=True, revision=commit, repo_type=folder.kind
                )
            ),
        )
        files = [item for item in found if isinstance(item, RepoFile) and item.path.startswith(folder.prefix)]
        if len(found) > _MOST_FILES:
            raise SourceError(
                f"{folder} holds more than {_MOST_FILES} files.", remedy="Name a directory further down in it."
            )
        return Listing.of(commit, (_below(folder, file) for file in files))

    def _api(self, token: Token | None) -> HfApi:
        return HfApi(
            self._endpoint.reveal(),
            token=token.secret.reveal() if token else False,
            library_name="prefetch",
            library_version=__version__,
        )

    def _ask(
        self, ref: HuggingFaceRef | HuggingFolderRef, question: Callable[[Token | None], T]
    ) -> tuple[T, Token | None]:
        """The answer to ``question``, which is given the token to send, and that token."""
        if huggingface_hub.is_offline_mode():
            raise UsageError(
                f"{ref} cannot be asked for while HF_HUB_OFFLINE is set.", remedy="Unset it, or use another source."
            )
        token, advice = self.token()
        try:
            return question(token), token
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            proxy, sent = (
                proxy_for(self._endpoint),
                Sent((self._endpoint,), self._access.credentials(self._endpoint, token)),
            )
            raise explain(
                error, ref, endpoint=self._endpoint, token=token, advice=advice, proxy=proxy, sent=sent
            ) from None
        except RuntimeError as error:
            if "closed" not in str(error):
                raise
            # A newer one of these has closed the client that all of them share; the next try has another.
            raise TransientError(f"{self._endpoint.host} dropped the connection.", cause="reset") from None

    def token(self) -> tuple[Token | None, str]:
        """The token to send, and what to tell a user whom it does not help.

        Raises:
            UsageError: the stored one cannot be read.
        """
        if not may_carry_secrets(self._endpoint):
            return None, f"No token is sent to {self._endpoint}, which is neither https nor this machine."
        token, stranger = self._access.hf_token, self._access.hf_misnamed
        advice = "Set HF_TOKEN to a token that may read it." if stranger is None else f"{name_it(stranger, HUB)}."
        if token is not None or not self._access.hf_login:
            return token, advice
        try:
            stored = huggingface_hub.get_token()
        except (OIDCError, OSError, ValueError) as error:
            raise UsageError(f"The stored Hugging Face token cannot be read: {redact(str(error))}.") from None
        token = Token(Secret(stored), "the token of hf auth login") if stored else None
        return token, advice

    def _client(self) -> httpx2.Client:
        proxy = proxy_for(self._endpoint)
        return httpx2.Client(
            verify=ssl.create_default_context(),
            proxy=proxy.reveal() if proxy else None,
            trust_env=False,
            timeout=_TIMEOUT,
            # A renamed repository; what a file's own address redirects to is never followed here.
            follow_redirects=True,
            event_hooks={"request": [self._keep_secrets_home, _connect_in_time], "response": [self._note_pause]},
        )

    def _note_pause(self, response: httpx2.Response) -> None:
        self._pauses.hear(SecretURL(str(response.url)), response.status_code, response.headers)

    def _keep_secrets_home(self, request: httpx2.Request) -> None:
        url = SecretURL(str(request.url))
        if url.origin != self._endpoint.origin:
            request.headers.pop("Authorization", None)
        request.headers.update(headers_for(url, self._access.own))


def _first(items: Iterable[RepoFile | RepoFolder]) -> list[RepoFile | RepoFolder]:
    """No more of a listing than can be used: a hostile one has no end."""
    return list(itertools.islice(items, _MOST_FILES + 1))


def _below(folder: HuggingFolderRef, file: RepoFile) -> Listed:
    size, sha256 = (file.lfs.size, file.lfs.sha256) if file.lfs is not None else (file.size, None)
    return Listed(file.path.removeprefix(folder.prefix), size, sha256)


def _listed(file: RepoFile, commit: str) -> FileFacts:
    if file.lfs is not None:
        return FileFacts(None, commit, file.lfs.sha256, file.lfs.size, None)
    return FileFacts(None, commit, file.blob_id, file.size, None)


def _url_of(ref: HuggingFaceRef, endpoint: SecretURL) -> str:
    return huggingface_hub.hf_hub_url(
        ref.repo, ref.path, repo_type=ref.kind, revision=ref.revision, endpoint=endpoint.reveal()
    )


def _connect_in_time(request: httpx2.Request) -> None:
    # They are tried one after another, and each call of huggingface_hub brings one timeout for everything.
    request.extensions["timeout"]["connect"] = _CONNECT_TIMEOUT
