"""How far the volume has been read again, kept on the volume itself: whoever reads goes on where the last one stopped.

So a restart loses nothing, and any number of readers read it once together, at the pace of one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefetch.volume.documents import read_document, write_document
from prefetch.volume.layout import Volume
from prefetch.volume.untrusted import Kinds, has_fields

__all__ = ["Round", "read_round", "write_round"]

_DIRECTORY, _NAME = "scrub", "round.json"
_VERSION = 1
_FIELDS: dict[str, Kinds] = {"began_ms": int, "due_ms": int, "path": str, "block": int}
_MOST = 1 << 53
"""What a number may be: more is no time and no block."""


@dataclass(frozen=True, slots=True)
class Round:
    """One reading of the whole volume, its models sorted by path.

    Attributes:
        began_ms: when it began, in milliseconds since 1970.
        due_ms: when the next block may be read.
        path, block: the next one; of the first model that does not come before ``path``.
    """

    began_ms: int
    due_ms: int
    path: str = ""
    block: int = 0


def write_round(volume: Volume, state: Round) -> None:
    """Keep it. Raises an error of ours."""
    write_document(volume, _DIRECTORY, _NAME, {"version": _VERSION, **asdict(state)})


def read_round(volume: Volume) -> Round | None:
    """What was kept; None if there is nothing, or any part of it makes no sense."""
    document = read_document(volume, _DIRECTORY, _NAME)
    if document is None or document.get("version") != _VERSION or not has_fields(document, _FIELDS):
        return None
    values = {name: document[name] for name in _FIELDS}
    return None if any(isinstance(value, int) and value > _MOST for value in values.values()) else Round(**values)
