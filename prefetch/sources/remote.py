"""What a source resolved to."""

from __future__ import annotations

from dataclasses import dataclass

from prefetch.net.origin import Origin

__all__ = ["RemoteFile"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One immutable sequence of bytes on a host, and the way to it.

    Attributes:
        source: the manifest's own text for it, never with a credential.
        url: the pinned address of the file (commit instead of branch where there are commits), without query secrets.
        origin: reads its bytes.
        size: bytes, None where the host does not tell.
        sha256: 64 lower-case hex digits, None where the host does not tell.
        git_sha1: the git blob hash (40 hex digits) of a small file that the Hub keeps in git instead of LFS.
        commit: the 40 hex digits the revision resolved to.
        etag: the host's validator, for hosts without a hash; a change in mid-download is noticed by it.
        remark: a sentence on which file was chosen, where the source left that open; else empty.
    """

    source: str
    url: str
    origin: Origin
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    commit: str | None = None
    etag: str | None = None
    remark: str = ""
