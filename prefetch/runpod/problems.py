"""What RunPod's API refuses, as errors of ours: whether another try is worth it, and what a person can do.

The table is that of the API's own contract: 400 is a broken rule or no capacity, which only the words tell apart.
"""

from __future__ import annotations

import json
import time
from typing import Any

from prefetch.errors import AccessError, PrefetchError, SourceError, TransientError
from prefetch.net.call import Reply
from prefetch.net.checks import wait_asked_for
from prefetch.net.urls import redact
from prefetch.report.humanize import printable

__all__ = ["Conflict", "Forbidden", "Gone", "NoBalance", "Rejected", "problem_of"]

_KEYS = "https://console.runpod.io/user/settings"
_BILLING = "https://console.runpod.io/user/billing"
_LONGEST = 300
_TRANSIENT = frozenset({408, 425, 429})


class Rejected(SourceError):
    """400: no capacity for it, or it breaks a rule between fields."""


class Gone(SourceError):
    """404: there is no such thing, or no more."""


class Conflict(SourceError):
    """409: not in the state it is in."""


class Forbidden(AccessError):
    """403: the key may not, or this pool is not for this account."""


class NoBalance(AccessError):
    """402: the account has no money left."""


def problem_of(reply: Reply, doing: str) -> PrefetchError:
    """The error for an answer that is none of success.

    Args:
        doing: what was asked for, as in ``create a pod``.
    """
    status = reply.status
    said = _said(reply)
    sentence = f"RunPod refused to {doing} ({status}{said})."
    if status in _TRANSIENT or status >= 500:
        floor = wait_asked_for(status, reply.headers, now=time.time())
        return TransientError(
            f"RunPod's API answered {status} when asked to {doing}{said}.", cause=f"status_{status}", floor=floor
        )
    match status:
        case 400:
            return Rejected(sentence, remedy="The words in brackets are RunPod's.")
        case 401:
            return AccessError(sentence, remedy=f"RUNPOD_API_KEY is not accepted: make a new key at {_KEYS}.")
        case 402:
            return NoBalance(sentence, remedy=f"The account's balance is too low: add credit at {_BILLING}.")
        case 403:
            return Forbidden(sentence, remedy=f"Give the key of RUNPOD_API_KEY the right to do so: {_KEYS}.")
        case 404:
            return Gone(sentence, remedy="It is not there, or belongs to another account.")
        case 409:
            return Conflict(sentence, remedy="Look at it in RunPod's console.")
        case 422:
            return SourceError(
                sentence, remedy="RunPod does not understand the request: see whether there is a newer prefetch."
            )
    return SourceError(sentence, remedy="See https://docs.runpod.io for what it means.")


def _said(reply: Reply) -> str:
    """The words of an RFC 9457 answer, without what they may repeat of our secrets."""
    try:
        document: Any = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    listed = [error for error in errors if isinstance(error, str)] if isinstance(errors, list) else []
    detail = document.get("detail") or document.get("title")
    words = "; ".join([detail if isinstance(detail, str) else "", *listed]).strip("; .")
    safe = printable(redact(reply.without_secrets(words)))[:_LONGEST]
    return f": {safe}" if safe else ""
