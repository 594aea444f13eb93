"""Is the finished file the one that was asked for, and if not, which of its blocks are to be doubted first?"""

from __future__ import annotations

from prefetch.errors import ContentError, HashMismatch
from prefetch.transfer.content import check_header
from prefetch.transfer.order import Order
from prefetch.transfer.runs import Runs

__all__ = ["Judge"]


class Judge:
    """Knows what one order's file has to be.

    Attributes:
        header_fault: why the first block does not begin such a model, if it does not.
        suspects: blocks that came over a connection which broke, stalled or lagged.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self.header_fault: ContentError | None = None
        self.suspects: set[int] = set()

    @property
    def knows_hash(self) -> bool:
        """Whether a hash was known beforehand. One that matches is the last word, whatever the header says."""
        return self._order.sha256 is not None or self._order.git_sha1 is not None

    @property
    def needs_git_hash(self) -> bool:
        """Whether the file is one that the Hub keeps in git."""
        return self._order.git_sha1 is not None

    def look_at(self, head: memoryview, size: int | None) -> None:
        """Take note of the file's first block. ``size`` is the whole file's, None while it is unknown."""
        try:
            check_header(self._order.path, head, len(head) if size is None else size)
        except ContentError as error:
            self.header_fault = error

    def is_right(self, sha256: str, git_sha1: str | None) -> bool:
        """Whether the whole file's hashes are those it must have."""
        if self._order.sha256 is not None:
            return sha256 == self._order.sha256
        return self._order.git_sha1 is None or git_sha1 == self._order.git_sha1

    def doubted(self, count: int) -> tuple[Runs, Runs]:
        """The blocks of a wrong file of ``count`` blocks: those to fetch again first, and the others."""
        suspects = {index for index in self.suspects if index < count}
        return Runs((index, index + 1) for index in suspects), Runs.missing(count, suspects)

    def stranger(self, host: str) -> ContentError:
        """The error for a host whose blocks are, again and again, not those that the block digests describe."""
        return ContentError(
            f"{host} sends other bytes than {self._order.path} has by the block digests of its lock.",
            remedy="Name another source. If the host is right, make them anew with prefetch lock --blocks.",
        )

    def mismatch(self, host: str, sha256: str, git_sha1: str | None) -> HashMismatch:
        """The error for a file that ``host`` sent twice and that has these hashes."""
        kind, got, wanted = "SHA-256", sha256, self._order.sha256
        if wanted is None:
            kind, got, wanted = "git hash", git_sha1 or "", self._order.git_sha1
        return HashMismatch(
            f"{self._order.path} from {host} has the {kind} {got}, expected {wanted}.",
            remedy="It was fetched twice, so the host serves other bytes than the pinned ones: "
            "correct the manifest's sha256 if the model was updated, or name another source.",
        )
