"""What a file needs that is here and has the wrong hash, pass by pass."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from prefetch.errors import ContentError, HashMismatch, PrefetchError
from prefetch.report.events import Event, Notice
from prefetch.transfer.judge import RECOUNTS, Judge
from prefetch.transfer.listed import Listed
from prefetch.transfer.order import Order
from prefetch.volume.blocks import DIGEST_SIZE
from prefetch.volume.draft import Draft

COUNT = 5
WRONG = ("b" * 64, None)
HTML = memoryview(b"<!doctype html><title>Sign in</title>")
ODD = memoryview(b"neither this nor that")


def never() -> Draft:
    raise AssertionError("a judge opens no file")


def ours() -> PrefetchError | None:
    return None


def judge(
    *, sha256: str | None = "a" * 64, git_sha1: str | None = None, digests: bytes | None = None
) -> tuple[Judge, list[Event]]:
    order = Order("models/vae/a.pth", (), None, sha256, git_sha1, digests, never, never, ours)
    told: list[Event] = []
    return Judge(order, Listed(order, told.append)), told


def doubt(judge: Judge, count: int = COUNT) -> set[int]:
    return numbers(judge.doubt(count, WRONG, size=len(HTML), host="a.test"))


def numbers(runs: Iterable[tuple[int, int]]) -> set[int]:
    return {index for first, last in runs for index in range(first, last)}


def test_the_suspicious_blocks_are_fetched_again_first_and_then_the_others() -> None:
    accused, _ = judge()
    accused.suspect([1, 3, COUNT])
    assert not accused.doubting
    assert doubt(accused) == {1, 3}
    assert accused.doubting
    assert doubt(accused) == {0, 2, 4}
    with pytest.raises(HashMismatch, match=r"models/vae/a\.pth from a\.test has the SHA-256 b+, expected a+\."):
        doubt(accused)


def test_with_no_suspicion_all_are_fetched_again_at_once() -> None:
    accused, _ = judge()
    assert doubt(accused) == set(range(COUNT))


def test_what_came_otherwise_is_fetched_once_more_but_not_for_ever() -> None:
    accused, _ = judge()
    doubt(accused)
    for recount in range(RECOUNTS):
        accused.differs(recount)
        assert doubt(accused) == {recount}
    accused.differs(0)
    with pytest.raises(HashMismatch):
        doubt(accused)


def test_what_differed_is_forgotten_with_the_bytes_it_was_of() -> None:
    accused, _ = judge()
    accused.suspect([0])
    doubt(accused)
    accused.differs(0)
    accused.refetched = 7
    accused.started_over()
    assert (accused.doubting, accused.refetched) == (True, 0)
    with pytest.raises(HashMismatch):
        doubt(accused)


def test_an_empty_file_has_no_block_that_could_be_another_one() -> None:
    accused, _ = judge()
    with pytest.raises(HashMismatch):
        doubt(accused, 0)


@pytest.mark.parametrize(
    ("head", "sha256", "git_sha1", "refused"),
    [
        (HTML, None, None, True),
        (HTML, "a" * 64, None, True),
        (HTML, None, "c" * 40, True),
        (ODD, None, None, True),
        (ODD, "a" * 64, None, False),
        (ODD, None, "c" * 40, False),
    ],
)
def test_what_the_first_block_decides(
    head: memoryview, sha256: str | None, git_sha1: str | None, refused: bool
) -> None:
    accused, _ = judge(sha256=sha256, git_sha1=git_sha1)
    accused.look_at(head)
    assert (accused.refusal(None) is not None) is refused


def test_an_odd_header_under_a_wrong_hash_is_not_fetched_twice() -> None:
    accused, _ = judge()
    accused.look_at(ODD)
    with pytest.raises(ContentError, match="neither a zip archive nor a pickle"):
        doubt(accused)


def test_with_block_digests_none_is_refused_by_its_looks() -> None:
    accused, _ = judge(digests=bytes(DIGEST_SIZE * COUNT))
    accused.look_at(HTML)
    assert accused.refusal(None) is None, "another host may send the right one"


@pytest.mark.parametrize(
    ("sha256", "git_sha1", "hashes", "right"),
    [
        ("a" * 64, None, ("a" * 64, None), True),
        ("a" * 64, "c" * 40, ("a" * 64, "d" * 40), True),
        ("a" * 64, None, WRONG, False),
        (None, "c" * 40, ("b" * 64, "c" * 40), True),
        (None, "c" * 40, ("b" * 64, "d" * 40), False),
        (None, None, WRONG, True),
    ],
)
def test_the_strongest_hash_that_is_known_decides(
    sha256: str | None, git_sha1: str | None, hashes: tuple[str, str | None], right: bool
) -> None:
    accused, _ = judge(sha256=sha256, git_sha1=git_sha1)
    assert accused.is_right(hashes) is right


def test_a_list_that_every_block_fits_is_not_believed_when_the_hash_is_wrong() -> None:
    accused, told = judge(digests=bytes(DIGEST_SIZE * COUNT))
    assert doubt(accused) == set(range(COUNT))
    [notice] = told
    assert isinstance(notice, Notice) and "every block is what they say" in notice.message
