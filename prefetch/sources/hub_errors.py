"""huggingface_hub's errors as sentences a person can act on."""

from __future__ import annotations

import socket
import ssl
import time

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from prefetch.errors import AccessError, PrefetchError, RevisionError, SourceError, TransientError
from prefetch.net.checks import wait_asked_for
from prefetch.net.credentials import Token
from prefetch.net.failures import NETWORK_REMEDY, certificate_refused, proxy_out_of_reach, proxy_wants_login
from prefetch.net.quoting import Sent
from prefetch.net.urls import SecretURL, redact
from prefetch.sources.refs.hub import HuggingFaceRef, HuggingFolderRef

__all__ = ["explain"]

_Ref = HuggingFaceRef | HuggingFolderRef


def explain(
    error: Exception,
    ref: _Ref,
    *,
    endpoint: SecretURL,
    token: Token | None,
    advice: str,
    proxy: SecretURL | None = None,
    sent: Sent | None = None,
) -> PrefetchError:
    """The error of ours for what huggingface_hub raised.

    Args:
        endpoint: the Hub that was asked, or a mirror of it: a link to look at what it has leads there. Accounts, their
            tokens and the terms they accept are huggingface.co's, whichever was asked.
        token: what went along.
        advice: what to do about a token that is missing.
        proxy: what stands between, where one does.
        sent: what the request carried, which an answer may repeat.
    """
    host, sent = endpoint.host, sent or Sent()
    if isinstance(error, HfHubHTTPError) and (there := _elsewhere(error, endpoint)) is not None:
        # A redirect led there, and the token stayed at home: it is not what is refused.
        token = None
        if error.response.status_code in (401, 403) and not isinstance(error, GatedRepoError):
            return AccessError(
                f"{there} refuses {ref.repo_path} ({error.response.status_code}).",
                remedy=f"{host} leads there, and no token is sent along: use another source.",
            )
    match error:
        case GatedRepoError():
            return _gated(error, ref, token, advice)
        case DisabledRepoError():
            return AccessError(f"{host} has disabled {ref.repo_path} for everybody.", remedy="Use another source.")
        case RevisionNotFoundError():
            return RevisionError(
                f"{ref.repo_path} on {host} has no revision {ref.revision!r}.",
                remedy=f"See {endpoint}/{ref.repo_path}/tree/main for its branches and tags.",
            )
        case EntryNotFoundError():
            return _no_file(ref, endpoint)
        case HfHubHTTPError():
            return _by_status(error, ref, endpoint, token, advice, sent)
    return _unreached(error, endpoint, proxy, sent)


def _elsewhere(error: HfHubHTTPError, endpoint: SecretURL) -> str | None:
    """The host that answered, if it is not the endpoint's."""
    url = SecretURL(str(error.response.url))
    return None if url.origin == endpoint.origin else url.host


def _gated(error: GatedRepoError, ref: _Ref, token: Token | None, advice: str) -> AccessError:
    message = f"{ref.repo_path} is gated: its owner gives it to those who accept its terms"
    page = f"Open https://huggingface.co/{ref.repo_path} in a browser and accept its terms"
    if token is None:
        return AccessError(f"{message}.", remedy=f"{page}. {advice}")
    if "fine-grained" in error.response.headers.get("X-Error-Message", ""):
        return AccessError(
            f"{message}, and the token sent ({token.found_in}) may read no gated repository at all.",
            remedy="Open https://huggingface.co/settings/tokens and allow it to read public gated repositories.",
        )
    return AccessError(f"{message}.", remedy=f"{page} with the account the token sent ({token.found_in}) belongs to.")


def _no_file(ref: _Ref, endpoint: SecretURL) -> SourceError:
    what = "file" if isinstance(ref, HuggingFaceRef) else "directory"
    return SourceError(
        f"{ref.repo_path} on {endpoint.host} has no {what} {ref.path!r} at revision {ref.revision!r}.",
        remedy=f"See {endpoint}/{ref.repo_path}/tree/main for what it has.",
    )


def _missing_or_private(ref: _Ref, host: str, token: Token | None, advice: str) -> AccessError:
    spelling = (
        "Check its spelling" if "/" in ref.repo else "Only some old repositories have no owner: check its spelling"
    )
    if token is None:
        return AccessError(f"{ref.repo_path} is missing or private on {host}.", remedy=f"{spelling}. {advice}")
    return AccessError(
        f"{ref.repo_path} is missing or private on {host}, and the token sent ({token.found_in}) has no access to it.",
        remedy=f"{spelling}, or use a token that may read it.",
    )


def _by_status(
    error: HfHubHTTPError, ref: _Ref, endpoint: SecretURL, token: Token | None, advice: str, sent: Sent
) -> PrefetchError:
    host = endpoint.host
    status, headers = error.response.status_code, error.response.headers
    says = redact(sent.hide(headers.get("X-Error-Message", "")))
    shown = f"{status}: {says[:120].rstrip('.')}" if says else str(status)
    if status == 401 and token is not None and not isinstance(error, RepositoryNotFoundError):
        name = token.found_in[0].upper() + token.found_in[1:]
        return AccessError(
            f"{name} is not accepted by {host} ({shown}).",
            remedy="Make a new token at https://huggingface.co/settings/tokens and put it in place of the old one.",
        )
    if status == 401 or isinstance(error, RepositoryNotFoundError):
        return _missing_or_private(ref, host, token, advice)
    if status == 451:
        return AccessError(f"{host} may not give {ref.repo_path} to anybody here ({shown}).", remedy="Use a mirror.")
    if status == 403:
        return AccessError(f"{host} refuses {ref.repo_path} ({shown}).", remedy=advice)
    if status in (404, 410):
        return _no_file(ref, endpoint)
    if status in (408, 425, 429) or status >= 500:
        floor = wait_asked_for(status, headers, now=time.time())
        return TransientError(f"{host} answered {shown} for {ref}.", cause=f"status_{status}", floor=floor)
    return SourceError(f"{host} answered {shown} for {ref}.")


def _unreached(error: Exception, endpoint: SecretURL, proxy: SecretURL | None, sent: Sent) -> PrefetchError:
    host = endpoint.host
    for inner in _chain(error):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return certificate_refused(inner, endpoint.site)
        if isinstance(inner, socket.gaierror):
            if proxy is not None:
                return proxy_out_of_reach(proxy.host, host, unknown=True)
            return TransientError(f"The name {host} could not be looked up.", cause="dns", remedy=NETWORK_REMEDY)
    match error:
        case httpx2.ProxyError() if "407" in str(error):
            return proxy_wants_login(proxy.host if proxy else "on the way", host)
        case httpx2.TimeoutException():
            return TransientError(f"{host} did not answer in time.", cause="timeout")
        case httpx2.ConnectError() if proxy is not None:
            return proxy_out_of_reach(proxy.host, host, unknown=False)
        case httpx2.ConnectError() | httpx2.ProxyError():
            return TransientError(f"{endpoint.site} could not be reached.", cause="connect", remedy=NETWORK_REMEDY)
        case httpx2.NetworkError() | httpx2.RemoteProtocolError() | OSError():
            return TransientError(f"{host} dropped the connection.", cause="reset")
    return SourceError(f"{host} could not be asked: {redact(sent.hide(str(error)))[:200].rstrip('.')}.")


def _chain(error: BaseException | None) -> list[BaseException]:
    links: list[BaseException] = []
    while error is not None and error not in links:
        links.append(error)
        error = error.__cause__ or error.__context__
    return links
