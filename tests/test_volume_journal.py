"""The journal is read from a file that was cut, damaged, or written by somebody else."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.volume import journal as form
from prefetch.volume.blocks import BLOCK_SIZE, block_count
from prefetch.volume.identity import Identity
from prefetch.volume.journal import RELEASED, Journal, claim_line, claim_lines, forget_line, header_line
from prefetch.volume.owner import Owner
from prefetch.volume.reading import Unfit

SIZE = 5 * BLOCK_SIZE + 3
IDENTITY = Identity("models/x", SIZE, "ab" * 32, "https://host.test/x", '"tag"')
OWNER = Owner("host", "boot", 1, 2, 3)
HEADER = header_line(IDENTITY, OWNER)
DIGESTS = {index: bytes([index]) * 16 for index in range(6)}
WHOLE = HEADER + claim_lines(DIGESTS, size=SIZE)


def parse(text: bytes) -> Journal | None:
    """What it says; None as well for what is no journal."""
    try:
        return form.parse(io.BytesIO(text))
    except Unfit:
        return None


def claims(text: bytes) -> dict[int, bytes]:
    journal = parse(text)
    assert journal is not None
    assert journal.claimed_bytes <= SIZE
    return dict(journal.claims)


def test_what_was_written_is_read() -> None:
    journal = parse(WHOLE)
    assert journal is not None
    assert (journal.identity, journal.owner, journal.claims) == (IDENTITY, OWNER, DIGESTS)
    assert journal.claimed_bytes == SIZE
    assert not journal.released


def test_the_form_of_a_line() -> None:
    assert claim_line(7, BLOCK_SIZE, bytes(range(16))) == b"7 4194304 000102030405060708090a0b0c0d0e0f\n"


def test_a_later_line_wins() -> None:
    assert claims(WHOLE + claim_line(2, BLOCK_SIZE, b"n" * 16))[2] == b"n" * 16


def test_a_claim_can_be_taken_back_and_made_again() -> None:
    assert 2 not in claims(WHOLE + forget_line(2))
    assert claims(WHOLE + forget_line(2) + claim_line(2, BLOCK_SIZE, b"n" * 16))[2] == b"n" * 16


def test_a_journal_tells_that_its_writer_let_go() -> None:
    journal = parse(WHOLE + RELEASED)
    assert journal is not None
    assert journal.released


@pytest.mark.parametrize(
    "line",
    [
        b"6 3 " + b"0" * 32,
        b"5 4194304 " + b"0" * 32,
        b"0 4194303 " + b"0" * 32,
        b"-1 4194304 " + b"0" * 32,
        b"0 4194304 " + b"0" * 31,
        b"0 4194304 " + b"0" * 33,
        b"0 4194304 " + b"G" * 32,
        b"0  4194304 " + b"0" * 32,
        b"999999999999999999999999 4194304 " + b"0" * 32,
        b"\xff\xfe",
        b"{}",
    ],
)
def test_a_line_that_lies_is_skipped(line: bytes) -> None:
    assert claims(HEADER + line + b"\n" + claim_line(1, BLOCK_SIZE, b"n" * 16)) == {1: b"n" * 16}


def change(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda header: header.update(fields)


@pytest.mark.parametrize(
    "edit",
    [
        change(format=2),
        change(format=True),
        change(block_size=1 << 20),
        change(size=-1),
        change(size="1"),
        change(path=".prefetch/x"),
        change(path="models/../../x"),
        change(path="/etc/passwd"),
        change(path="models/\x1b[2J"),
        change(path="models/\ud800"),
        change(size=2**53 + 1),
        change(size=10**400),
        change(sha256="../../x"),
        change(sha256="AB" * 32),
        change(url=None),
        change(etag=1),
        lambda header: header.pop("path"),
    ],
)
def test_a_header_that_is_not_ours_means_no_journal(edit: Callable[[dict[str, Any]], object]) -> None:
    header = json.loads(HEADER)
    edit(header)
    assert parse(json.dumps(header).encode() + b"\n") is None


@pytest.mark.parametrize(
    "text", [b"", b"\n", HEADER[:-1], b"null\n", b"[" * 100_000 + b"\n", b"1" * 5000 + b"\n", b"\xff\n"]
)
def test_no_header_means_no_journal(text: bytes) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("owner", [None, 1, {}, {"host": "h"}, {**OWNER.to_json(), "pid": "1"}])
def test_an_owner_that_cannot_be_read_is_nobody(owner: object) -> None:
    header = json.loads(HEADER) | {"owner": owner}
    journal = parse(json.dumps(header).encode() + b"\n")
    assert journal is not None
    assert journal.owner is None


def test_nothing_is_claimed_of_a_file_of_unknown_size() -> None:
    unknown = Identity("models/x", None, "ab" * 32, "https://host.test/x", None)
    assert claims(header_line(unknown, OWNER) + claim_line(0, BLOCK_SIZE, b"n" * 16)) == {}


@given(st.integers(0, len(WHOLE)))
def test_a_cut_journal_claims_the_lines_that_are_whole(end: int) -> None:
    journal = parse(WHOLE[:end])
    if journal is None:
        assert end < len(HEADER)
    else:
        assert len(journal.claims) == WHOLE[:end].count(b"\n") - 1
        assert journal.claims.items() <= DIGESTS.items()


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=20), st.binary(max_size=200))
def test_a_damaged_journal_claims_nothing_beyond_the_file(flips: list[tuple[int, int]], tail: bytes) -> None:
    text = bytearray(WHOLE)
    for position, value in flips:
        text[position] = value
    journal = parse(bytes(text) + tail)
    if journal is not None:
        size = journal.identity.size or 0
        assert all(0 <= index < block_count(size) for index in journal.claims)
        assert all(len(digest) == 16 for digest in journal.claims.values())


@given(st.binary(max_size=2000))
def test_garbage_is_no_journal(text: bytes) -> None:
    assert parse(text) is None


COMMIT = "https://hub.test/o/r/resolve/" + "0123456789abcdef0123456789abcdef01234567" + "/x"


@pytest.mark.parametrize(
    ("now", "earlier", "kept"),
    [
        (("p", 9, "aa" * 32, "u", None), ("q", 9, "aa" * 32, "v", "e"), True),
        (("p", 9, "aa" * 32, "u", None), ("p", 9, "bb" * 32, "u", None), False),
        (("p", 9, "aa" * 32, "u", "e"), ("p", 9, None, "u", "e"), False),
        (("p", 9, "aa" * 32, "u", None), ("p", 8, "aa" * 32, "u", None), False),
        (("p", None, "aa" * 32, "u", None), ("p", None, "aa" * 32, "u", None), False),
        (("p", 9, None, "u", '"e"'), ("p", 9, None, "u", '"e"'), True),
        (("p", 9, None, "u", '"e"'), ("p", 9, "aa" * 32, "u", '"e"'), False),
        (("p", 9, None, "u", '"e"'), ("p", 9, None, "u", '"f"'), False),
        (("p", 9, None, "u", '"e"'), ("p", 9, None, "v", '"e"'), False),
        (("p", 9, None, "u", 'W/"e"'), ("p", 9, None, "u", 'W/"e"'), False),
        (("p", 9, None, "u", None), ("p", 9, None, "u", None), False),
        (("p", 9, None, COMMIT, None), ("p", 9, None, COMMIT, None), True),
    ],
)
def test_bytes_are_kept_only_for_the_very_same_file(now: Any, earlier: Any, kept: bool) -> None:
    assert Identity(*now).continues(Identity(*earlier)) is kept


def test_state_is_named_by_what_identifies_the_file() -> None:
    assert IDENTITY.key == "ab" * 32
    keys = {Identity("p", size, None, url, etag).key for size in (None, 1) for url in "uv" for etag in (None, "e")}
    assert len(keys) == 8
    assert Identity("p", 1, None, "u", None).key == Identity("q", 1, None, "u", None).key
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize("sha256", ["", "ab", "AB" * 32, "../" * 21 + "x", "ab" * 32 + "\n"])
def test_a_hash_that_is_none_names_nothing(sha256: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case"):
        Identity("p", 1, sha256, "u", None)
