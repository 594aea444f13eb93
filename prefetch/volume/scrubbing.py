"""How far the volume has been read again, kept on the volume itself: whoever reads goes on where the last one stopped.

So a restart loses nothing, and any number of readers read it once together, at the pace of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prefetch.volume import documents
from prefetch.volume.documents import Kind
from prefetch.volume.layout import Volume
from prefetch.volume.paths import is_model_path
from prefetch.volume.untrusted import Kinds, has_fields

__all__ = ["SCRUB", "Round", "read_round", "write_round"]

_NAME = "round.json"
_FIELDS: dict[str, Kinds] = {"began_ms": int, "due_ms": int, "path": str, "block": int}


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
    documents.write(volume, SCRUB, _NAME, asdict(state))


def read_round(volume: Volume) -> Round | None:
    """What was kept; None if there is nothing, or any part of it makes no sense."""
    return documents.read(volume, SCRUB, _NAME)


def _parse(name: str, document: Mapping[str, Any]) -> Round | None:
    # Empty at the beginning of a round.
    if not has_fields(document, _FIELDS) or not (document["path"] == "" or is_model_path(document["path"])):
        return None
    return Round(**{name: document[name] for name in _FIELDS})


SCRUB = Kind("scrub", re.compile(re.escape(_NAME)), _parse, version=1)
