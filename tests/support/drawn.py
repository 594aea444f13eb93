"""Small ComfyUI workflows, as its page draws them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from prefetch.comfyui.workflow import LoaderTable, WorkflowModels, load_table, models_in

__all__ = ["TABLE", "drawn", "end", "found_in", "instance", "names", "node", "paths"]

TABLE: LoaderTable = load_table()


def node(
    number: int,
    kind: str,
    values: object = (),
    *,
    inputs: Sequence[tuple[Any, ...]] = (),
    outputs: Sequence[tuple[str, list[int]]] = (),
    **more: Any,
) -> dict[str, Any]:
    """A node; ``inputs`` are (name, type, link) or (name, type, link, widget), ``outputs`` (type, links)."""
    slots = [
        {"name": i[0], "type": i[1], "link": i[2], **({"widget": {"name": i[3]}} if i[3:] else {})} for i in inputs
    ]
    return {
        "id": number,
        "type": kind,
        "mode": 0,
        "inputs": slots,
        "outputs": [{"name": kind, "type": kind, "links": links} for kind, links in outputs],
        "properties": {},
        "widgets_values": list(values) if isinstance(values, tuple) else values,
        **more,
    }


def end(number: int, link: int, kind: str = "MODEL") -> dict[str, Any]:
    """An output node that takes one link."""
    return node(number, "SaveSomething", inputs=[("in", kind, link)])


def drawn(nodes: Sequence[Mapping[str, Any]], links: Sequence[Sequence[Any]] = (), **more: Any) -> dict[str, Any]:
    """A workflow; a link is (id, from, from slot, to, to slot, type)."""
    return {"nodes": list(nodes), "links": [list(link) for link in links], "version": 0.4, **more}


def instance(number: int, definition: str, values: object = (), **more: Any) -> dict[str, Any]:
    """An instance of a subgraph whose only output is linked to 90."""
    return node(number, definition, values, outputs=[("MODEL", [90])], **more)


def found_in(document: object) -> WorkflowModels:
    """What is found in a document."""
    return models_in(json.dumps(document).encode(), table=TABLE)


def paths(document: object) -> dict[str, bool]:
    """FOLDER/NAME of each model → whether it is required."""
    return {f"{model.folder}/{model.name}": model.required for model in found_in(document).models}


def names(document: object) -> set[str]:
    """The names of all models."""
    return {model.name for model in found_in(document).models}
