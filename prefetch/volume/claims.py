"""Who fetches what: one small file for each time somebody takes a model, `.prefetch/claims/KEY.N`.

A claim is taken by creating the next number with O_EXCL, and the highest number owns. Nothing that a competitor may
still use is renamed or deleted, so nobody can own a number that another one owns. A claim saves double work and nothing
else: whatever becomes of it, what is published is verified.

The first bytes of the file are its owner's own, drawn by lot, and never change; what follows is a JSON object that the
owner writes anew, in place, again and again.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from prefetch.volume import files
from prefetch.volume.identity import Identity
from prefetch.volume.owner import Owner
from prefetch.volume.paths import is_model_path
from prefetch.volume.reading import Unfit, read_below
from prefetch.volume.trees import remove_all
from prefetch.volume.untrusted import OPTIONAL_COUNT, Kinds, decode, has_fields

__all__ = ["DIRECTORY", "Claim", "Own", "Seen", "beat", "fits", "held", "highest", "key_of", "read", "release", "take"]

DIRECTORY = "claims"

SMALL_KEYS = 16
"""Claims that all models of one block share: one each would cost the volume more time than such a model."""

_LIMIT = 64 * 1024
_TOKEN = 32
_SPARE = 128
LAST = 10**9 - 1
"""The highest number of a claim: with one a second on the same content it is reached in thirty years."""
_NAME = re.compile(r"([0-9a-z-]{1,80})\.([1-9][0-9]{0,8})")
_FIELDS: dict[str, Kinds] = {
    "path": str,
    "size": OPTIONAL_COUNT,
    "done": int,
    "speed": int,
    "beat": int,
    "age": int,
    "life_ms": int,
    "released": bool,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an owner says of itself.

    Attributes:
        path: the model's path, or a word for many small models.
        size: bytes of the model, None while unknown.
        done: bytes of it that are on the volume.
        speed: bytes a second.
        beat: grows with every writing.
        age: for how many seconds its owner has had it by then.
        life_ms: for how many milliseconds the counter may stand still.
        released: whether its owner is done with it.
    """

    owner: Owner
    path: str
    size: int | None
    done: int = 0
    speed: int = 0
    beat: int = 0
    age: int = 0
    life_ms: int
    released: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A claim file as it was read."""

    key: str
    number: int
    content: bytes

    @property
    def claim(self) -> Claim | None:
        """What it says; None for an empty, torn or strange one."""
        document = decode(self.content[_TOKEN:])
        owner = Owner.from_json(document.get("owner")) if document is not None else None
        if document is None or owner is None or not has_fields(document, _FIELDS):
            return None
        if not is_model_path(document["path"]):
            return None
        return Claim(owner=owner, **{name: document[name] for name in _FIELDS})

    @property
    def free(self) -> bool:
        """Whether its owner has let go of it, or is known to be gone."""
        claim = self.claim
        return claim is not None and (claim.released or claim.owner.gone())


@dataclass(slots=True)
class Own:
    """A claim of ours: its number, the path of the claim before it, and what makes its file ours."""

    key: str
    number: int
    claim: Claim
    former: str | None = None
    token: bytes = field(default_factory=lambda: secrets.token_hex(_TOKEN // 2).encode())
    length: int = 0

    @property
    def name(self) -> str:
        return f"{self.key}.{self.number}"

    def content(self) -> bytes:
        """The file's bytes, never fewer than before: it is written in place."""
        data = self.token + json.dumps(_document(self.claim), separators=(",", ":")).encode()
        self.length = max(self.length, len(data) + (0 if self.length else _SPARE))
        return data.ljust(self.length)


def key_of(identity: Identity, *, small: bool) -> str:
    """The claim under which a model is fetched: by its content, or one of a few for all small ones."""
    return f"small-{int(identity.key[:8], 16) % SMALL_KEYS}" if small else identity.key


def highest(directory: int) -> dict[str, int]:
    """The number that owns each key."""
    numbers: dict[str, int] = {}
    for key, number in _all(directory):
        numbers[key] = max(number, numbers.get(key, 0))
    return numbers


def held(directory: int) -> list[Seen]:
    """Every claim whose owner has not let go of it and is not known to be gone."""
    seen = (read(directory, key, number) for key, number in highest(directory).items())
    return [one for one in seen if one is not None and not one.free]


def read(directory: int, key: str, number: int) -> Seen | None:
    """A claim's file; None if it has gone. What is no such file is as a claim whose owner has not written it yet."""
    try:
        content = read_below(f"{key}.{number}", directory=directory, most=_LIMIT)
    except Unfit:
        content = b""
    return None if content is None else Seen(key, number, content)


def fits(name: str, status: os.stat_result) -> bool:
    """Whether what has this name and status can be a claim, or one that is being written."""
    return bool(_NAME.fullmatch(name)) and stat.S_ISREG(status.st_mode) and status.st_size <= _LIMIT


def take(directory: int, key: str, claim: Claim, *, outbid: Seen | None = None) -> Own | Seen | None:
    """Own ``key``, if nobody does.

    Args:
        outbid: a claim that was seen not to beat for its whole life.

    Returns:
        Our claim, or the one that stands in its way; None where somebody was quicker and has not said who.
    """
    number = highest(directory).get(key, 0)
    former = None
    if number:
        seen = read(directory, key, number)
        if seen is None or not (seen.free or seen == outbid):
            return seen
        before = seen.claim
        former = before.path if before is not None else None
    if number == LAST:
        # Nobody counts that far: a stranger wrote it, and there is no number above it that could be ours.
        remove_all((f"{key}.{LAST}",), dir_fd=directory)
        number = highest(directory).get(key, 0)
    own = Own(key, number + 1, claim, former)
    if not _create(directory, own):
        return None
    return own if highest(directory).get(key) == own.number else None


def beat(directory: int, own: Own, numbers: Mapping[str, int]) -> bool:
    """Write our claim anew; False if it is not ours any more.

    Args:
        numbers: what `highest` said a moment ago.
    """
    number = numbers.get(own.key)
    if number is None:
        # Somebody deleted the whole directory.
        return _create(directory, own)
    return number == own.number and _rewrite(directory, own)


def release(directory: int, own: Own) -> None:
    """Write our claim for the last time, and delete those it outbid: whoever wakes up sees that it is not theirs."""
    if not _rewrite(directory, own):
        return
    for key, number in _all(directory):
        if key == own.key and number < own.number:
            remove_all((f"{key}.{number}",), dir_fd=directory)


def _all(directory: int) -> list[tuple[str, int]]:
    matches = (_NAME.fullmatch(name) for name in files.names(directory))
    return [(match[1], int(match[2])) for match in matches if match]


def _document(claim: Claim) -> dict[str, Any]:
    return {**{name: getattr(claim, name) for name in _FIELDS}, "owner": asdict(claim.owner)}


def _create(directory: int, own: Own) -> bool:
    try:
        number = os.open(own.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=directory)
    except FileExistsError:
        return False
    try:
        try:
            files.write_at(number, own.content(), 0)
        finally:
            os.close(number)
    except OSError:
        # Else whoever comes next would wait for a whole life for an owner that never was.
        with suppress(OSError):
            files.remove(own.name, dir_fd=directory)
        raise
    return True


def _rewrite(directory: int, own: Own) -> bool:
    try:
        number = os.open(own.name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return False
    try:
        if os.pread(number, _TOKEN, 0) != own.token:
            return False
        files.write_at(number, own.content(), 0)
    finally:
        # Closed each time: a network file system shows others what was written only then.
        os.close(number)
    return True
