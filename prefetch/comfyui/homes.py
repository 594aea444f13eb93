"""One name for every place where a file may stand: modern folders, and custom nodes without case. Pure."""

from __future__ import annotations

from prefetch.comfyui.nodes import may_be_linked
from prefetch.comfyui.workflow.findings import SelfDownloaded
from prefetch.comfyui.workflow.loaders import LoaderTable

__all__ = ["home_of", "model_path", "node_home", "node_path_of", "path_beside", "unmapped_place"]


def model_path(folder: str, name: str) -> str:
    """Where a model belongs below the volume's root."""
    return f"models/{folder}/{name}"


def home_of(path: str, table: LoaderTable) -> str:
    """A path below the volume with its folder's modern name: two paths with one home hold one file for ComfyUI."""
    first, slash, rest = path.partition("/")
    return f"models/{table.modern(rest)}" if first == "models" and slash else path


def node_home(path: str) -> str:
    """A path below ComfyUI's folder, its custom node's folder without case: the registry's names have none."""
    parts = path.split("/")
    return "/".join([*parts[:1], *(part.casefold() for part in parts[1:2]), *parts[2:]])


def node_path_of(item: SelfDownloaded) -> str | None:
    """Where the node looks for the file, below ComfyUI's folder; None where that is not one plain path."""
    return None if item.name is None or "<" in item.place else item.place


def unmapped_place(path: str, table: LoaderTable) -> str | None:
    """Where below ComfyUI's folder nodes read a model that no extra_model_paths.yaml leads them to; None if one may."""
    below = path.removeprefix("models/")
    fixed = any(below.startswith(f"{folder}/") for folder in table.fixed)
    return path if below != path and fixed and may_be_linked(path) else None


def path_beside(node_path: str) -> str:
    """Where on the volume a node's file is kept: below models, by what follows its node's folder."""
    if not node_path.startswith("custom_nodes/"):
        return node_path
    rest = node_path.split("/")[2:]
    return "/".join(["models", *(rest[1:] if rest[:1] in (["ckpts"], ["models"]) else rest)])
