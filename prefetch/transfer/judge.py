"""Is the finished file the one that was asked for, and if not, which of its blocks are fetched again?"""

from __future__ import annotations

from collections.abc import Iterable

from prefetch.errors import ContentError, HashMismatch
from prefetch.transfer.listed import Listed
from prefetch.transfer.order import Order
from prefetch.transfer.runs import Runs
from prefetch.volume.content import Content, check_content, content_of

__all__ = ["Hashes", "Judge"]

Hashes = tuple[str, str | None]
"""SHA-256 and, where it was asked for, the git hash of a file's bytes, in hex."""

RECOUNTS = 3
"""How often blocks that came differently when they were fetched again are fetched once more, to tell which is right."""


class Judge:
    """Knows what one order's file has to be, and what speaks against the bytes that one host sent of it.

    A hash that is wrong at the end does not say which block is wrong. So every block is fetched a second time, the
    suspicious ones first, and those that came differently are fetched once more, as one of the two may be damaged on
    its own account. Where all come alike, the host has other bytes.

    Attributes:
        doubting: whether blocks that are here are fetched again, to be compared.
        refetched: bytes that came again.
        content: what the first block says the file is; None before it came.
        proven: whether the whole file came twice with one and the same wrong hash.
    """

    def __init__(self, order: Order, listed: Listed) -> None:
        self.doubting = False
        self.refetched = 0
        self.content: Content | None = None
        self.proven = False
        self._first: Hashes | None = None
        self._order = order
        self._listed = listed
        self._suspects: set[int] = set()
        self._passes: list[Runs] = []
        self._differing = Runs()
        self._recounts = RECOUNTS

    def look_at(self, head: memoryview) -> None:
        """Take note of the file's first block.

        With block digests none is judged by its looks: it may yet be refused, and come otherwise from another host.
        """
        if not self._listed:
            self.content = content_of(head)

    def refusal(self, size: int | None) -> ContentError | None:
        """Why the file is refused by its first block; None while it is not.

        Args:
            size: the whole file's in bytes, None while it is unknown.
        """
        return self._fault(size, known=bool(self._order.sha256 or self._order.git_sha1))

    def suspect(self, blocks: Iterable[int]) -> None:
        """The connection that brought these blocks broke, stalled or lagged."""
        self._suspects.update(blocks)

    def differs(self, index: int) -> None:
        """Block ``index`` came otherwise when it was fetched again: one of the two is wrong."""
        self._differing.add(index, index + 1)

    def started_over(self) -> None:
        """Nothing is here any more: what was fetched twice of it repaired nothing."""
        self.refetched = 0
        self._passes = []
        self._differing = Runs()

    def is_right(self, hashes: Hashes) -> bool:
        """Whether the whole file's hashes are those it must have."""
        sha256, git_sha1 = hashes
        if self._order.sha256 is not None:
            return sha256 == self._order.sha256
        return self._order.git_sha1 is None or git_sha1 == self._order.git_sha1

    def doubt(self, count: int, hashes: Hashes, *, size: int, host: str) -> Runs:
        """The blocks to fetch next of a file that is here and wrong.

        Args:
            count: how many it has in all.
            size: bytes of the whole file.

        Raises:
            ContentError: none of them could be another one.
        """
        if not self.doubting:
            self._begin(count, hashes, size, host)
        if self._passes:
            return self._passes.pop(0)
        if not self._recounts or not self._differing:
            self.proven = hashes == self._first
            raise self._mismatch(hashes, host)
        self._recounts -= 1
        again, self._differing = self._differing, Runs()
        return again

    def stranger(self, host: str) -> ContentError:
        """The error for a host whose blocks are, again and again, not those that the block digests describe."""
        return ContentError(
            f"{host} sends other bytes than {self._order.path} has by the block digests of its lock.",
            remedy="Name another source. If the host is right, make them anew with prefetch lock --blocks.",
        )

    def _fault(self, size: int | None, *, known: bool) -> ContentError | None:
        try:
            if self.content is not None:
                check_content(self._order.path, self.content, size, known=known)
        except ContentError as error:
            return error
        return None

    def _begin(self, count: int, hashes: Hashes, size: int, host: str) -> None:
        if (fault := self._fault(size, known=False)) is not None:
            raise fault
        if self._listed.is_disputed:
            raise self._mismatch(hashes, host)
        if self._listed:
            self._listed.forget("every block is what they say, and the SHA-256 of the file is wrong")
        self.doubting = True
        self._first = hashes
        suspects = {index for index in self._suspects if index < count}
        first = Runs((index, index + 1) for index in suspects)
        self._passes = [blocks for blocks in (first, Runs.missing(count, suspects)) if blocks]

    def _mismatch(self, hashes: Hashes, host: str) -> HashMismatch:
        (got, git_sha1), wanted, kind = hashes, self._order.sha256, "SHA-256"
        if wanted is None:
            got, wanted, kind = git_sha1 or "", self._order.git_sha1, "git hash"
        return HashMismatch(
            f"{self._order.path} from {host} has the {kind} {got}, expected {wanted}.",
            remedy="It was fetched twice, so the host serves other bytes than the pinned ones: "
            "correct the manifest's sha256 if the model was updated, or name another source.",
        )
