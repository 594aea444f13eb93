"""Is this response what was asked for? Pure: status and headers in, a verdict or an error with a sentence out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from prefetch.errors import AccessError, ContentError, PrefetchError, SourceError, TransientError
from prefetch.net.headers import (
    ContentRange,
    content_length,
    retry_after,
    strong_etag,
    unsatisfied_size,
)
from prefetch.net.origin import RangesUnsupported
from prefetch.net.pauses import pause_told

__all__ = ["Accepted", "Asked", "OtherValidator", "check_response", "is_error_page", "wait_asked_for"]

_TRANSIENT = frozenset({408, 425, 429})
_ACCESS = frozenset({401, 403, 451})
_GONE = frozenset({404, 410})
_MODELS = frozenset({".safetensors", ".sft", ".gguf", ".pth", ".pt", ".ckpt", ".bin", ".onnx"})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asked for and what is known of the file.

    Attributes:
        name: the file's own name.
        host: who answered.
        start, stop: the range in bytes; ``stop`` is None for "to the end".
        size: the file's size where it is known.
        etag: the validator the file had when it was resolved, where no hash watches over its identity.
        verified: whether a hash of the whole file is known.
        access_remedy: what to do when a credential is wanted.
        hide: takes out of what the host wrote what it was sent.
    """

    name: str
    host: str
    start: int
    stop: int | None
    size: int | None = None
    etag: str | None = None
    verified: bool = False
    access_remedy: str = ""
    hide: Callable[[str], str] = str


class OtherValidator(ContentError):
    """The answer's validator is not the one that the file had when it was resolved.

    Attributes:
        etag: what it is.
    """

    def __init__(self, asked: Asked, etag: str) -> None:
        super().__init__(
            f"{asked.name} changed on {asked.host} since it was resolved.",
            remedy="Run it again; if it says the same then, give the file's sha256 in the manifest.",
        )
        self.etag = etag


@dataclass(frozen=True, slots=True)
class Accepted:
    """A response that may be read.

    Attributes:
        ranged: whether the body is the range; False means it is the whole file.
        total: the file's size where the host told it.
        length: bytes to take from the body; None means until its own end.
    """

    ranged: bool
    total: int | None
    length: int | None


def check_response(
    status: int, headers: Mapping[str, str], asked: Asked, *, now: float = 0.0, received: str = ""
) -> Accepted:
    """The verdict on a response.

    Args:
        headers: looked up without regard to case.
        now: epoch seconds, for a ``Retry-After`` that is a date.
        received: what an error page says, for the sentence.

    Raises:
        RangesUnsupported: the whole file where a part that does not start at 0 was asked for.
        TransientError: 408, 429, 5xx, or another range than the one asked for.
        AccessError: 401, 403, 451.
        SourceError: any other status.
        ContentError: not the file: another size or validator, a page, an encoding, no end that can be told.
    """
    if status not in (200, 206):
        raise _refusal(status, headers, asked, now, received)
    _check_kind(headers, asked, received)
    if status == 206:
        return _accept_range(headers, asked)
    if asked.start > 0:
        raise RangesUnsupported(f"{asked.host} serves no ranges")
    return _accept_whole(headers, asked)


def is_error_page(status: int, headers: Mapping[str, str], name: str) -> bool:
    """Whether the body is to be quoted in an error and not to be kept: a refusal, or a page in place of a model."""
    kind, suffix = _media_type(headers), PurePosixPath(name).suffix.lower()
    if status not in (200, 206):
        return True
    return (kind in _PAGES and suffix not in (".html", ".htm")) or (kind == "application/json" and suffix in _MODELS)


def wait_asked_for(status: int, headers: Mapping[str, str], *, now: float) -> float:
    """Seconds the host wants us to wait before the next try; 0 where it does not say."""
    told = pause_told(status, headers, now=now) if status == 429 else 0.0
    return max(retry_after(headers.get("Retry-After"), now=now) or 0.0, told)


def _refusal(status: int, headers: Mapping[str, str], asked: Asked, now: float, received: str) -> PrefetchError:
    says = f": {received}" if received else ""
    if status in _TRANSIENT or status >= 500:
        floor = wait_asked_for(status, headers, now=now)
        return TransientError(
            f"{asked.host} answered {status} for {asked.name}{says}.", cause=f"status_{status}", floor=floor
        )
    if status in _ACCESS:
        return AccessError(
            f"{asked.host} refuses {asked.name} ({status}{says}).", remedy=asked.access_remedy, status=status
        )
    if status in _GONE:
        remedy = "Check the source's spelling."
        return SourceError(f"{asked.host} has no {asked.name} ({status}{says}).", remedy=remedy, status=status)
    if status == 416:
        return _unsatisfied(headers, asked)
    return SourceError(f"{asked.host} answered {status} for {asked.name}{says}.")


def _unsatisfied(headers: Mapping[str, str], asked: Asked) -> PrefetchError:
    total = unsatisfied_size(headers.get("Content-Range"))
    if total is not None and total == asked.size:
        return TransientError(f"{asked.host} refuses a range of {asked.name} that it has.", cause="bad_range")
    if total is not None and asked.size is not None:
        return _other_size(total, asked)
    return ContentError(f"{asked.host} has no bytes from {asked.start} on in {asked.name}: the file is shorter.")


def _check_kind(headers: Mapping[str, str], asked: Asked, received: str) -> None:
    if is_error_page(200, headers, asked.name):
        raise ContentError(
            f"{asked.host} sent {received or asked.hide(_media_type(headers))} instead of {asked.name}.",
            remedy="Open the source in a browser: it may want a login, or link to a page instead of the file.",
        )
    encoding = headers.get("Content-Encoding", "").strip().lower() or "identity"
    if encoding != "identity":
        raise ContentError(
            f"{asked.host} sent {asked.name} compressed ({asked.hide(encoding)}), which was not asked for."
        )
    if _media_type(headers) == "multipart/byteranges":
        raise ContentError(f"{asked.host} sent {asked.name} in several parts, which was not asked for.")
    etag = strong_etag(headers.get("ETag"))
    if asked.etag and etag and etag != asked.etag:
        raise OtherValidator(asked, etag)


def _accept_range(headers: Mapping[str, str], asked: Asked) -> Accepted:
    text = headers.get("Content-Range", "")
    sent = ContentRange.parse(text)
    if sent is None:
        raise _other_range(asked, text)
    if asked.size is not None and sent.total not in (None, asked.size):
        raise _other_size(sent.total, asked)
    total = asked.size if sent.total is None else sent.total
    stop = asked.stop if asked.stop is not None else total
    length = sent.stop - sent.start
    if stop is None and not asked.verified:
        raise _endless(asked)
    if sent.start != asked.start or (stop is not None and sent.stop != stop):
        raise _other_range(asked, text)
    body = content_length(headers.get("Content-Length"))
    if body is not None and body < length:
        raise _other_range(asked, f"{text}, but {body} bytes")
    return Accepted(True, total, length)


def _accept_whole(headers: Mapping[str, str], asked: Asked) -> Accepted:
    chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    length = None if chunked else content_length(headers.get("Content-Length"))
    if asked.size is not None and length not in (None, asked.size):
        raise _other_size(length, asked)
    total = asked.size if length is None else length
    if total is None and not chunked and not asked.verified:
        raise _endless(asked)
    return Accepted(False, total, total)


def _endless(asked: Asked) -> ContentError:
    return ContentError(
        f"{asked.host} does not say where {asked.name} ends, so a cut could not be told from its end.",
        remedy="Give the file's sha256 or size in the manifest.",
    )


def _other_range(asked: Asked, text: str) -> TransientError:
    stop = "" if asked.stop is None else asked.stop - 1
    says = asked.hide(text)[:80] or "it does not say"
    return TransientError(
        f"{asked.host} sent another range of {asked.name} than {asked.start}-{stop}: {says}.",
        cause="bad_range",
    )


def _other_size(size: int | None, asked: Asked) -> ContentError:
    return ContentError(
        f"{asked.name} has {size} bytes on {asked.host} where {asked.size} are expected.",
        remedy="The file changed: correct size and sha256 in the manifest, or pin the revision that is meant.",
    )


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()
