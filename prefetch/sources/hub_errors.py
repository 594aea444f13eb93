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

from prefetch.errors import AccessError, PrefetchError, SourceError, TransientError
from prefetch.net.checks import wait_asked_for
from prefetch.net.failures import NETWORK_REMEDY, certificate_refused
from prefetch.net.urls import redact
from prefetch.sources.refs import HuggingFaceRef

__all__ = ["explain"]


def explain(error: Exception, ref: HuggingFaceRef, *, host: str, sent_token: bool, advice: str) -> PrefetchError:
    """The error of ours for what huggingface_hub raised.

    Args:
        host: the endpoint's host.
        sent_token: whether a token went along.
        advice: what to do about a token that is missing.
    """
    match error:
        case GatedRepoError():
            return _gated(ref, sent_token, advice)
        case DisabledRepoError():
            return SourceError(f"{host} has disabled {ref.repo_path}.", remedy="Use another source.")
        case RevisionNotFoundError():
            return SourceError(f"{ref.repo_path} on {host} has no revision {ref.revision!r}.")
        case EntryNotFoundError():
            return _no_file(ref, host)
        case HfHubHTTPError():
            return _by_status(error, ref, host, sent_token, advice)
    return _unreached(error, host)


def _gated(ref: HuggingFaceRef, sent_token: bool, advice: str) -> AccessError:
    page = f"Open https://huggingface.co/{ref.repo_path} in a browser and accept its terms"
    remedy = (
        f"{page} with the account the token (HF_TOKEN) belongs to; a fine-grained one must also be allowed to read "
        "gated repositories."
        if sent_token
        else f"{page}. {advice}"
    )
    return AccessError(f"{ref.repo_path} is gated: its owner gives it to those who accept its terms.", remedy=remedy)


def _no_file(ref: HuggingFaceRef, host: str) -> SourceError:
    return SourceError(
        f"{ref.repo_path} on {host} has no file {ref.path!r} at revision {ref.revision!r}.",
        remedy=f"See https://huggingface.co/{ref.repo_path}/tree/main for what it has.",
    )


def _missing_or_private(ref: HuggingFaceRef, host: str, sent_token: bool, advice: str) -> AccessError:
    return AccessError(
        f"{ref.repo_path} is missing or private on {host}"
        + (", and the token sent (HF_TOKEN) has no access to it." if sent_token else "."),
        remedy="Check its spelling, or use a token that may read it."
        if sent_token
        else f"Check its spelling. {advice}",
    )


def _by_status(error: HfHubHTTPError, ref: HuggingFaceRef, host: str, sent_token: bool, advice: str) -> PrefetchError:
    status, headers = error.response.status_code, error.response.headers
    says = headers.get("X-Error-Message", "")
    shown = f"{status}: {redact(says)[:120].rstrip('.')}" if says else str(status)
    if status == 401 and sent_token and not isinstance(error, RepositoryNotFoundError):
        return AccessError(
            f"HF_TOKEN is not accepted by {host} ({shown}).",
            remedy="Make a new token at https://huggingface.co/settings/tokens and set HF_TOKEN to it.",
        )
    if status == 401 or isinstance(error, RepositoryNotFoundError):
        return _missing_or_private(ref, host, sent_token, advice)
    if status in (403, 451):
        return AccessError(f"{host} refuses {ref.repo_path} ({shown}).", remedy=advice)
    if status in (404, 410):
        return _no_file(ref, host)
    if status in (408, 425, 429) or status >= 500:
        floor = wait_asked_for(status, headers, now=time.time())
        return TransientError(f"{host} answered {shown} for {ref}.", cause=f"status_{status}", floor=floor)
    return SourceError(f"{host} answered {shown} for {ref}.")


def _unreached(error: Exception, host: str) -> PrefetchError:
    for inner in _chain(error):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return certificate_refused(inner, host)
        if isinstance(inner, socket.gaierror):
            return TransientError(f"The name {host} could not be looked up.", cause="dns", remedy=NETWORK_REMEDY)
    match error:
        case httpx2.TimeoutException():
            return TransientError(f"{host} did not answer in time.", cause="timeout")
        case httpx2.ConnectError() | httpx2.ProxyError():
            return TransientError(f"{host} could not be reached.", cause="connect", remedy=NETWORK_REMEDY)
        case httpx2.NetworkError() | httpx2.RemoteProtocolError() | OSError():
            return TransientError(f"{host} dropped the connection.", cause="reset")
    return SourceError(f"{host} could not be asked: {redact(str(error))[:200].rstrip('.')}.")


def _chain(error: BaseException | None) -> list[BaseException]:
    links: list[BaseException] = []
    while error is not None and error not in links:
        links.append(error)
        error = error.__cause__ or error.__context__
    return links
