"""Volumes that earlier builds left behind, kept as small documents: models' bytes are made again, state is verbatim."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.models import BLOCK, Wanted, wanted

__all__ = ["MODELS", "freeze", "thaw"]

MODELS = wanted(5 * BLOCK + 17, 3 * BLOCK, 70_000, 50_000)
"""What the volumes hold, or were about to."""

_LARGEST_VERBATIM = 32 * 1024


def freeze(volume: Path, models: Sequence[Wanted] = MODELS) -> dict[str, Any]:
    """A volume as a document; of a long file only which blocks are whose model's is kept."""
    known = {model.path: model for model in models}
    return {"files": [_frozen(path, volume, known) for path in sorted(volume.rglob("*")) if path.is_file()]}


def thaw(document: Mapping[str, Any], volume: Path, models: Sequence[Wanted] = MODELS) -> None:
    """Make the volume anew below ``volume``, with the bytes and times that it had."""
    known = {model.path: model for model in models}
    for file in document["files"]:
        path = volume / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(_pieces(file, known)))
        path.chmod(file["mode"])
        os.utime(path, (file["mtime"], file["mtime"]))


def _frozen(path: Path, volume: Path, known: Mapping[str, Wanted]) -> dict[str, Any]:
    stat = path.stat()
    about = {"path": path.relative_to(volume).as_posix(), "mode": stat.st_mode & 0o777, "mtime": int(stat.st_mtime)}
    if stat.st_size <= _LARGEST_VERBATIM:
        data = path.read_bytes()
        return (
            {**about, "text": data.decode()} if data.isascii() else {**about, "base64": base64.b64encode(data).decode()}
        )
    model, blocks = _most_alike(path, known)
    return {**about, "size": stat.st_size, "model": model, "blocks": blocks}


def _most_alike(path: Path, known: Mapping[str, Wanted]) -> tuple[str, list[int]]:
    """The model whose blocks a file holds, and which of them; what is none of its is zeros in the volume made anew."""
    held = {name: list(_blocks_held(path, model)) for name, model in known.items()}
    best = max(held, key=lambda name: len(held[name]))
    return best, held[best]


def _blocks_held(path: Path, model: Wanted) -> Iterator[int]:
    size = model.content.size
    with path.open("rb") as file:
        for index, start in enumerate(range(0, size, BLOCK)):
            if file.read(BLOCK) == model.content.read(start, min(start + BLOCK, size)):
                yield index


def _pieces(file: Mapping[str, Any], known: Mapping[str, Wanted]) -> Iterator[bytes]:
    if "size" not in file:
        yield file["text"].encode() if "text" in file else base64.b64decode(file["base64"])
        return
    content = known[file["model"]].content
    for index, start in enumerate(range(0, file["size"], BLOCK)):
        stop = min(start + BLOCK, file["size"])
        yield content.read(start, stop) if index in file["blocks"] else bytes(stop - start)


if __name__ == "__main__":
    json.dump(freeze(Path(sys.argv[1])), sys.stdout, indent=1)
