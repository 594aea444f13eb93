"""Files that hold a workflow → its graph, whatever was wrapped around it."""

from __future__ import annotations

import codecs
import io
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from prefetch.comfyui.workflow.apiformat import read_api
from prefetch.comfyui.workflow.carriers.formats import HEAD_SIZE, Carrier, carrier_of
from prefetch.comfyui.workflow.carriers.texts import COMMENT
from prefetch.comfyui.workflow.graph import Graph
from prefetch.comfyui.workflow.reading import as_map, as_text
from prefetch.comfyui.workflow.uiformat import read_ui
from prefetch.errors import UsageError
from prefetch.volume.reading import open_file

__all__ = ["Document", "read_document"]

_MAX_BYTES = 32 * 2**20
_MOST_VALUES = 1_000_000
_DEEPEST, _MOST_LOOKED_AT = 6, 2_000
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_REMEDY = "Save the workflow from ComfyUI's menu (Save, or Export (API)), or give a file that ComfyUI saved."
_OPEN_IT = "Drag the file onto ComfyUI's page: if its workflow opens, save that from the menu."
_HOLDERS: tuple[tuple[str, ...], ...] = ((), ("__metadata__",), ("asset", "extras"))
"""Where in a comment's JSON the workflow and the prompt stand: there itself, in a latent's header, in a 3D model."""

Form = Literal["ui", "api"]


@dataclass(frozen=True, slots=True)
class Document:
    """A workflow's graph; ``beside`` is what made the picture that it comes from, in the server's form."""

    graph: Graph
    beside: Graph | None = None


def read_document(file: Path | bytes) -> Document:
    """The workflow in a file, or in a file's bytes.

    Raises:
        UsageError: it cannot be read, is too large, or holds no workflow.
    """
    if isinstance(file, bytes):
        return _from_file(io.BytesIO(file), "the data")
    with _opened(file) as opened:
        try:
            return _from_file(opened if opened.seekable() else _taken_in(opened, str(file)), str(file))
        except OSError as error:
            raise _unreadable(file, error) from None


def _opened(file: Path) -> IO[bytes]:
    try:
        return open_file(file)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None


def _taken_in(pipe: IO[bytes], name: str) -> IO[bytes]:
    """What comes through a pipe, in which nothing can be skipped."""
    data = pipe.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{name} is larger than {_MAX_BYTES // 2**20} MiB.", remedy="Give the file itself, no pipe.")
    return io.BytesIO(data)


def _unreadable(file: Path, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or "its name is not one of a file"
    return UsageError(f"The workflow {file} cannot be read: {reason}.", remedy="Check its path and rights.")


def _from_file(file: IO[bytes], name: str) -> Document:
    head = file.read(HEAD_SIZE)
    carrier = carrier_of(head)
    if carrier is None:
        return _from_json(head + file.read(_MAX_BYTES + 1 - len(head)), name)
    if carrier.texts is None:
        raise UsageError(f"{name} is {carrier.name}, and no workflow is read out of such a file.", remedy=_OPEN_IT)
    return _from_carrier(file, carrier, name)


def _from_carrier(file: IO[bytes], carrier: Carrier, name: str) -> Document:
    embedded = carrier.read(file)
    found = list(_graphs(embedded.texts, name))
    if not found and not embedded.whole:
        raise UsageError(
            f"{name} is {carrier.name} that has more parts than are searched for a workflow.", remedy=_OPEN_IT
        )
    if not found:
        raise UsageError(
            f"{name} is {carrier.name} that holds no workflow.", remedy=f"{_OPEN_IT} Many sites strip files of it."
        )
    return Document(found[0], found[1] if len(found) > 1 else None)


def _graphs(texts: Mapping[str, str], name: str) -> Iterator[Graph]:
    """What the page saved, then what ran. A text that is cut or something else gives none: there may be the other."""
    values: dict[str, object] = {}
    for key, text in texts.items():
        with suppress(UsageError):
            values[key] = _parsed(text, name)
    comment = values.get(COMMENT)
    for path in _HOLDERS:
        holder = as_map(comment)
        for step in path:
            holder = as_map(holder.get(step))
        for key in ("workflow", "prompt"):
            if key in holder:
                values.setdefault(key, holder[key])
    kept = [values[key] for key in ("workflow", "prompt") if key in values] or [comment]
    for value in kept:
        if found := find_graph(value):
            yield _graph(*found)


def _from_json(data: bytes, name: str) -> Document:
    found = find_graph(_parsed(_decoded(data, name), name))
    if found is None:
        raise UsageError(f"{name}: this JSON is no ComfyUI workflow.", remedy=_REMEDY)
    return Document(_graph(*found))


def _graph(form: Form, drawn: Mapping[str, Any]) -> Graph:
    return read_ui(drawn) if form == "ui" else read_api(drawn)


def _decoded(data: bytes, name: str) -> str:
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{name} is larger than {_MAX_BYTES // 2**20} MiB.", remedy="Give the workflow's own file.")
    encoding = next((known for mark, known in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither UTF-8 nor UTF-16 text, nor a kind of file that a workflow is read out of.",
            remedy=f"{_OPEN_IT} Else it is another file.",
        ) from None


def _parsed(text: str, name: str) -> object:
    # Before the parser makes an object of each of them: a few bytes in the file are a hundred in memory.
    if sum(map(text.count, (",", "[", "{"))) > _MOST_VALUES:
        raise UsageError(f"{name} holds more than {_MOST_VALUES} values.", remedy="Give the workflow's own file.")
    try:
        return json.loads(text)
    except RecursionError:
        reason = "is nested deeper than any workflow"
    except ValueError as error:
        reason = f"is not JSON{_place(error)}"
    raise UsageError(f"{name} {reason}.", remedy=_REMEDY)


def _place(error: ValueError) -> str:
    return f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""


def find_graph(document: object) -> tuple[Form, Mapping[str, Any]] | None:
    """The nearest workflow in a document: itself, or what people wrap it in, at most a few levels down."""
    pending = deque([(document, 0)])
    for _ in range(_MOST_LOOKED_AT):
        if not pending:
            return None
        value, depth = pending.popleft()
        if form := _form_of(value):
            return form, as_map(value)
        if depth < _DEEPEST:
            pending.extend((inner, depth + 1) for inner in _inside(value))
    return None


def _form_of(value: object) -> Form | None:
    if not isinstance(value, dict):
        return None
    nodes = value.get("nodes")
    if isinstance(nodes, list) and (not nodes or any(as_text(as_map(node).get("type")) for node in nodes)):
        return "ui"
    return "api" if any(as_text(as_map(node).get("class_type")) for node in value.values()) else None


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        # What is sent to run comes before what is only kept beside it.
        first = [value[key] for key in ("prompt", "workflow", "input") if key in value]
        values = [*first, *value.values()]
    else:
        values = value if isinstance(value, list) else [value]
    for inner in values[:_MOST_LOOKED_AT]:
        # Some nodes encode what was encoded before.
        if isinstance(inner, str) and inner.startswith(("{", '"')):
            try:
                yield json.loads(inner)
            except (ValueError, RecursionError):
                continue
        elif isinstance(inner, dict | list):
            yield inner
