"""Response headers as values. Every function is pure and answers None for what it cannot read for certain."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "ContentRange",
    "RequestsLeft",
    "content_length",
    "etag",
    "git_sha1_of_etag",
    "rate_limit_reset",
    "rate_limit_wait",
    "requests_left",
    "retry_after",
    "sha256_of_etag",
    "signed_expiry",
    "strong_etag",
    "unsatisfied_size",
]

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_RANGE = re.compile(r"(?i:bytes) ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII)
_UNSATISFIED = re.compile(r"(?i:bytes) \*/([0-9]{1,18})", re.ASCII)
_LIMIT = re.compile(r"""(?:"[^"]*"|[^",])+""")
_LIMIT_NAME = re.compile(r"""[ \t]*(?:"([^"]*)"|([A-Za-z*][^;" \t]*))""")
_LIMIT_NUMBER = re.compile(r";[ \t]*([a-z][a-z0-9_.*-]*)[ \t]*=[ \t]*([0-9]{1,12})(?=[ \t]*(?:;|$))", re.ASCII)
_ETAG = re.compile(r'(W/)?"?([\x21\x23-\x7e]+)"?')
_LIMIT_UNIT = re.compile(r""";[ \t]*qu[ \t]*=[ \t]*"([^"]*)\"""")
LONGEST_GUESS = 300.0
_CLOUDFRONT = str.maketrans("-_~", "+=/")


@dataclass(frozen=True, slots=True)
class ContentRange:
    """The bytes ``[start, stop)`` of a file of ``total`` bytes (None where the host does not tell)."""

    start: int
    stop: int
    total: int | None

    @classmethod
    def parse(cls, value: str | None) -> ContentRange | None:
        """Read ``bytes 0-499/1234``; None for anything else, an impossible range too."""
        match = _RANGE.fullmatch((value or "").strip())
        if match is None:
            return None
        start, stop = int(match[1]), int(match[2]) + 1
        total = None if match[3] == "*" else int(match[3])
        if stop <= start or (total is not None and stop > total):
            return None
        return cls(start, stop, total)


def unsatisfied_size(value: str | None) -> int | None:
    """The file's size in the ``Content-Range`` of a 416 (``bytes */1234``)."""
    match = _UNSATISFIED.fullmatch((value or "").strip())
    return int(match[1]) if match else None


def content_length(value: str | None) -> int | None:
    """``Content-Length`` in bytes."""
    text = (value or "").strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait by ``Retry-After``, given as seconds or as a date; never negative. ``now`` is epoch seconds."""
    text = (value or "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def rate_limit_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until an exhausted limit starts anew, by ``RateLimit: "name";r=0;t=123``; None while some is left.

    Where it does not say when (``t`` may be left out), the whole window of its ``RateLimit-Policy`` is sure to suffice.
    """
    windows = _windows(headers)
    spent = (limit for limit in _limits(headers.get("RateLimit")) if limit.numbers.get("r") == 0)
    waits = (limit.numbers.get("t", windows.get(limit.name, windows.get(""))) for limit in spent)
    return max((float(wait) for wait in waits if wait is not None), default=None)


def rate_limit_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a refusal for too many requests; None where neither field says anything.

    One that names nothing but the policies comes from a window that is over when a whole one has passed: the shortest
    is waited for, as it is the likeliest, and no longer than `LONGEST_GUESS`.
    """
    reset = rate_limit_reset(headers)
    if reset is None and (windows := _windows(headers)):
        return min(float(min(windows.values())), LONGEST_GUESS)
    return reset


@dataclass(frozen=True, slots=True)
class RequestsLeft:
    """How many requests a host will still answer, and for how long that counts.

    Attributes:
        left: requests.
        seconds: until the window ends.
        quota, window: requests that each window begins with, and its seconds; None where the host does not tell.
    """

    left: int
    seconds: float
    quota: int | None = None
    window: float | None = None


def requests_left(headers: Mapping[str, str]) -> RequestsLeft | None:
    """The tightest limit on requests that ``RateLimit`` tells, with what its ``RateLimit-Policy`` adds."""
    policies = {policy.name: policy for policy in _limits(headers.get("RateLimit-Policy"))}
    known = (_requests_left(limit, policies.get(limit.name)) for limit in _limits(headers.get("RateLimit")))
    return min((told for told in known if told is not None), key=lambda told: told.left, default=None)


def _requests_left(limit: _Limit, policy: _Limit | None) -> RequestsLeft | None:
    allowed = {} if policy is None else policy.numbers
    left, seconds = limit.numbers.get("r"), limit.numbers.get("t", allowed.get("w"))
    if left is None or seconds is None or (policy is not None and policy.unit not in ("", "request", "requests")):
        return None
    return RequestsLeft(left, float(seconds), allowed.get("q"), allowed.get("w"))


@dataclass(frozen=True, slots=True)
class _Limit:
    """One member of such a list.

    Attributes:
        numbers: those of its parameters that are whole numbers.
        unit: what is counted; empty where it does not say, which means requests.
    """

    name: str
    numbers: Mapping[str, int]
    unit: str = ""


def _limits(value: str | None) -> Iterator[_Limit]:
    for item in _LIMIT.findall(value or ""):
        if name := _LIMIT_NAME.match(item):
            # The Hub writes what kind of window it is before the name: "fixed window";"resolvers";q=5000;w=300.
            names = [name[1] or name[2] or "", *re.findall(r';[ \t]*"([^"]*)"', item)]
            unit = _LIMIT_UNIT.search(item)
            numbers = {key: int(number) for key, number in _LIMIT_NUMBER.findall(item)}
            yield _Limit(names[-1], numbers, unit[1] if unit else "")


def _windows(headers: Mapping[str, str]) -> dict[str, int]:
    """Seconds by the policy's name; by none at all where there is only one."""
    policies = [limit for limit in _limits(headers.get("RateLimit-Policy")) if "w" in limit.numbers]
    windows = {limit.name: limit.numbers["w"] for limit in policies}
    return windows | ({"": policies[0].numbers["w"]} if len(policies) == 1 else {})


def etag(value: str | None) -> str | None:
    """A validator without ``W/`` and quotes."""
    match = _ETAG.fullmatch((value or "").strip())
    return match[2] if match else None


def strong_etag(value: str | None) -> str | None:
    """The same for a strong validator only: a weak one may stay equal while bytes change."""
    return None if (value or "").strip().startswith("W/") else etag(value)


def sha256_of_etag(value: str | None) -> str | None:
    """The SHA-256 (64 lower-case hex digits) that the Hub gives as a validator of a large file."""
    text = (etag(value) or "").lower()
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else None


def git_sha1_of_etag(value: str | None) -> str | None:
    """The git blob hash (40 lower-case hex digits) that the Hub gives as a validator of a small file."""
    text = (etag(value) or "").lower()
    return text if re.fullmatch(r"[0-9a-f]{40}", text) else None


def signed_expiry(url: str) -> float | None:
    """When a signed address ends, in epoch seconds: the earliest of what its query says in S3's, Google's or
    CloudFront's form."""
    query = dict(parse_qsl(urlsplit(url).query))
    moments = (
        _dated(query.get("X-Amz-Date"), query.get("X-Amz-Expires")),
        _dated(query.get("X-Goog-Date"), query.get("X-Goog-Expires")),
        _epoch(query.get("Expires")),
        _policy_end(query.get("Policy")),
    )
    return min((moment for moment in moments if moment is not None), default=None)


def _dated(date: str | None, seconds: str | None) -> float | None:
    try:
        begin = datetime.strptime(date or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    life = content_length(seconds)
    return None if life is None else begin.timestamp() + life


def _epoch(value: str | None) -> float | None:
    number = content_length(value)
    return None if number is None else float(number)


def _policy_end(value: str | None) -> float | None:
    try:
        policy = json.loads(base64.b64decode((value or "").translate(_CLOUDFRONT), validate=True))
        return float(policy["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"])
    except (binascii.Error, ValueError, LookupError, TypeError, RecursionError, OverflowError):
        return None
