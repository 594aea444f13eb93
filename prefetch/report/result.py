"""The one JSON document a command prints, and the exit code it ends with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from prefetch.errors import PrefetchError

__all__ = ["ModelResult", "RunResult", "TextResult", "exit_code_of", "first_of"]


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model's line in the result. Unknown size or sha256 is None; ``path`` is relative to the volume."""

    path: str
    status: str
    size: int | None = None
    sha256: str | None = None
    bytes_downloaded: int = 0
    bytes_resumed: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a command did. ``seconds`` is wall time; ``bytes_downloaded`` counts every body byte, re-fetches too.

    ``text`` is what a person gets on standard output instead of the document: the table of plan and status. ``more``
    are keys that only this command's document has.
    """

    exit_code: int
    volume: str | None
    seconds: float
    bytes_downloaded: int = 0
    models: Sequence[ModelResult] = field(default_factory=tuple)
    error: PrefetchError | None = None
    text: str = ""
    more: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> str:
        """The document of ``--json``, on one line."""
        error = self.error and {"code": self.error.code, "message": str(self.error)}
        document = {
            "ok": self.exit_code == 0,
            "exit_code": self.exit_code,
            "error": error,
            "volume": self.volume,
            "seconds": round(self.seconds, 3),
            "bytes_downloaded": self.bytes_downloaded,
            "models": [asdict(model) for model in self.models],
            **self.more,
        }
        return json.dumps(document, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class TextResult:
    """A text that is printed as it is: a schema, which is JSON, or what no command with ``--json`` prints.

    ``PREFETCH_JSON`` changes nothing about it: a file for ComfyUI, a shell's script, a version, a help page.
    """

    text: str
    exit_code: int = 0
    error: PrefetchError | None = None

    def to_json(self) -> str:
        """The text."""
        return self.text


def first_of(errors: Sequence[PrefetchError]) -> PrefetchError:
    """Of errors that come to one exit code together, the first that stands for it."""
    code = exit_code_of(errors)
    return next(error for error in errors if code in (1, error.exit_code))


def exit_code_of(errors: Sequence[PrefetchError]) -> int:
    """The exit code for a run whose models failed so: space first, else the class they share, else 1."""
    codes = {error.exit_code for error in errors}
    if not codes:
        return 0
    if 4 in codes:
        return 4
    return codes.pop() if len(codes) == 1 else 1
