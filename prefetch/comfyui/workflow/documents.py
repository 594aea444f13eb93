"""Files that hold a workflow → its graph, whatever was wrapped around it."""

from __future__ import annotations

import codecs
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prefetch.comfyui.workflow.apiformat import read_api
from prefetch.comfyui.workflow.graph import Graph
from prefetch.comfyui.workflow.pictures import embedded_texts, is_picture
from prefetch.comfyui.workflow.reading import as_map, as_text
from prefetch.comfyui.workflow.uiformat import read_ui
from prefetch.errors import UsageError

__all__ = ["MAX_BYTES", "Document", "read_document"]

MAX_BYTES = 64 * 2**20
_MOST_VALUES = 4_000_000
_DEEPEST, _MOST_LOOKED_AT = 6, 2_000
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_REMEDY = "Save the workflow from ComfyUI's menu (Save, or Export (API)), or give a picture that ComfyUI saved."

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
    name = "the data" if isinstance(file, bytes) else str(file)
    data = file if isinstance(file, bytes) else _read(file)
    if is_picture(data):
        return _from_picture(data, name)
    return _from_json(data, name)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not one of a file"
        raise UsageError(
            f"The workflow {path} cannot be read: {reason}.", remedy="Check its path and rights."
        ) from None


def _from_picture(data: bytes, name: str) -> Document:
    texts = embedded_texts(data)
    found = [graph for key in ("workflow", "prompt") for graph in _graphs(texts.get(key, ""), name)]
    if not found:
        raise UsageError(f"{name}: the picture holds no workflow.", remedy=_REMEDY)
    return Document(found[0], found[1] if len(found) > 1 else None)


def _graphs(text: str, name: str) -> Iterator[Graph]:
    """The workflow in a picture's text; none where it is cut or something else, for there may be the other one."""
    with suppress(UsageError):
        if found := find_graph(_decoded(text.encode("utf-8", errors="surrogatepass"), name)):
            yield _graph(*found)


def _from_json(data: bytes, name: str) -> Document:
    found = find_graph(_decoded(data, name))
    if found is None:
        raise UsageError(f"{name}: this JSON is no ComfyUI workflow.", remedy=_REMEDY)
    return Document(_graph(*found))


def _graph(form: Form, drawn: Mapping[str, Any]) -> Graph:
    return read_ui(drawn) if form == "ui" else read_api(drawn)


def _decoded(data: bytes, name: str) -> object:
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_BYTES // 2**20} MiB.", remedy="Give the workflow's own file.")
    # Before the parser makes an object of each of them: a few bytes in the file are a hundred in memory.
    if sum(map(data.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise UsageError(f"{name} holds more than {_MOST_VALUES} values.", remedy="Give the workflow's own file.")
    encoding = next((known for mark, known in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return json.loads(data.decode(encoding))
    except UnicodeDecodeError:
        reason = "is neither UTF-8 nor UTF-16 text, nor a picture that ComfyUI saved"
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
        values = value if isinstance(value, list) else []
    for inner in values[:_MOST_LOOKED_AT]:
        if isinstance(inner, str) and inner[:1] == "{":
            try:
                yield json.loads(inner)
            except (ValueError, RecursionError):
                continue
        elif isinstance(inner, dict | list):
            yield inner
