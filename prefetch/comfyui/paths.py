"""extra_model_paths.yaml: how ComfyUI comes to look for models on the volumes.

What ComfyUI makes of it (utils/extra_config.py): each section has a ``base_path``; every other key is a kind, its value
one folder or several lines of them, below the base; ``is_default`` puts the section's folders before ComfyUI's own; a
folder that is not there does no harm, and a kind it does not know becomes one that lists every file.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prefetch.comfyui.kinds import FOLDERS

__all__ = ["VOLUMES", "ExtraKind", "extra_model_paths", "parse_kind"]

VOLUMES = ("/runpod-volume", "/workspace")
"""Where RunPod mounts a volume: in serverless workers, and in pods."""

_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RESERVED = frozenset({"base_path", "is_default", "custom_nodes"})
_HEADER = "# Where ComfyUI finds the models on the volume. Written by: prefetch comfyui paths\n"


@dataclass(frozen=True, slots=True)
class ExtraKind:
    """A kind that a custom node brings, and its folder below the volume's root."""

    kind: str
    folder: str


def parse_kind(text: str) -> ExtraKind:
    """``ipadapter=models/ipadapter``, or ``ipadapter`` alone for the same.

    Raises:
        ValueError: it is neither.
    """
    kind, _, folder = text.strip().partition("=")
    folder = folder or f"models/{kind}"
    clean = posixpath.normpath(folder)
    if not _KIND.fullmatch(kind) or kind in _RESERVED or not folder.isprintable() or "\\" in folder:
        raise ValueError("not a kind")
    if clean.startswith(("/", "..")) or clean == "." or "\n" in folder:
        raise ValueError("not below the volume")
    return ExtraKind(kind, clean)


def extra_model_paths(volumes: Sequence[str] = VOLUMES, *, extra: Iterable[ExtraKind] = ()) -> str:
    """The file's text, with one section a volume; what the first one holds comes before ComfyUI's own folders."""
    folders = {kind: [f"models/{name}" for name in names] for kind, names in FOLDERS.items()}
    for one in extra:
        # A kind of ComfyUI's own looks there too.
        folders.setdefault(one.kind, []).append(one.folder)
    names = _section_names(volumes)
    sections = [_section(names[volume], volume, folders, default=not i) for i, volume in enumerate(names)]
    return _HEADER + "\n".join(sections)


def _section(name: str, volume: str, folders: Mapping[str, Sequence[str]], *, default: bool) -> str:
    lines = [f"{name}:", f"  base_path: {_scalar(volume)}", *(["  is_default: true"] if default else [])]
    for kind in sorted(folders):
        one, *more = dict.fromkeys(folders[kind])
        lines.extend(
            [f"  {kind}: |", *(f"    {folder}" for folder in (one, *more))] if more else [f"  {kind}: {_scalar(one)}"]
        )
    return "\n".join(lines) + "\n"


def _section_names(volumes: Iterable[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for volume in dict.fromkeys(volumes):
        stem = re.sub(r"[^A-Za-z0-9]+", "_", volume).strip("_") or "root"
        number = sum(name.startswith(f"prefetch_{stem}") for name in names.values())
        names[volume] = f"prefetch_{stem}{number or ''}"
    return names


def _scalar(text: str) -> str:
    """A YAML scalar: plain where nothing in it could be taken for anything else, else in JSON's quotes."""
    return text if re.fullmatch(r"[A-Za-z/][A-Za-z0-9/_.-]*", text) else json.dumps(text, ensure_ascii=False)
