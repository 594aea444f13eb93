"""Response headers as values. Every function is pure and answers None for what it cannot read for certain."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "ContentRange",
    "content_length",
    "etag",
    "git_sha1_of_etag",
    "rate_limit_reset",
    "retry_after",
    "sha256_of_etag",
    "signed_expiry",
    "strong_etag",
    "unsatisfied_size",
]

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_RANGE = re.compile(r"(?i:bytes) ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII)
_UNSATISFIED = re.compile(r"(?i:bytes) \*/([0-9]{1,18})", re.ASCII)
_LIMIT = re.compile(r";\s*r\s*=\s*([0-9]{1,12})\s*;\s*t\s*=\s*([0-9]{1,12})", re.ASCII)
_ETAG = re.compile(r'(W/)?"?([\x21\x23-\x7e]+)"?')
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
    """Seconds until an exhausted limit starts anew, by ``RateLimit: "name";r=0;t=123``; None while some is left."""
    windows = (_LIMIT.search(item) for item in headers.get("RateLimit", "").split(","))
    spent = [float(window[2]) for window in windows if window and int(window[1]) == 0]
    return max(spent, default=None)


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
