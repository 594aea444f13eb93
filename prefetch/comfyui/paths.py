"""extra_model_paths.yaml: how ComfyUI comes to look for models on the volumes.

What ComfyUI makes of it (utils/extra_config.py): each section has a ``base_path``; every other key is a kind, its value
one folder or several lines of them, below the base; ``is_default`` puts the section's folders before ComfyUI's own; a
folder that is not there does no harm. A kind that it does not know yet is made, and most node packs add their own
folder to it. A few set theirs alone, and what nodes read without asking ComfyUI stays below its own folder.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from prefetch.comfyui.kinds import FOLDERS

__all__ = ["VOLUMES", "ExtraKind", "Kinds", "extra_model_paths", "parse_kind", "unseen"]

VOLUMES = ("/runpod-volume", "/workspace")
"""Where RunPod mounts a volume: in serverless workers, and in pods."""

Kinds = Mapping[str, Sequence[str]]
"""The folders of each kind, by its key."""

_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RESERVED = frozenset({"base_path", "is_default", "custom_nodes"})
_OWN = "# Below ComfyUI itself, for packs that add their own folder only where nobody has named its kind.\ncomfyui_own:"
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


def extra_model_paths(
    volumes: Sequence[str] = VOLUMES,
    *,
    kinds: Kinds = FOLDERS,
    extra: Iterable[ExtraKind] = (),
    unmapped: Iterable[str] = (),
) -> str:
    """The file's text, with one section a volume; what the first one holds comes before ComfyUI's own folders.

    Args:
        kinds: the folders of each kind, below ``models``.
        extra: more kinds, or more folders of these.
        unmapped: folders below ``models`` that a comment tells the reader of: nodes read ComfyUI's own only.
    """
    names, folders = _section_names(volumes), _folders(kinds, extra)
    sections = [_section(names[volume], volume, folders, default=not i) for i, volume in enumerate(names)]
    return "\n".join([_HEADER + _comment(unmapped) + sections[0], *sections[1:], *_own_section(folders)])


def unseen(
    volume: Path, *, kinds: Kinds = FOLDERS, extra: Iterable[ExtraKind] = (), unmapped: Iterable[str] = ()
) -> Iterator[str]:
    """The folders below a volume's ``models`` that hold something and in which nobody looks.

    Args:
        kinds, extra, unmapped: as of `extra_model_paths`.

    Raises:
        OSError: a folder cannot be read.
    """
    known = {folder for folders in _folders(kinds, extra).values() for folder in folders}
    known |= {f"models/{folder}" for folder in unmapped}
    return _unknown(volume, PurePosixPath("models"), set(map(PurePosixPath, known)))


def _folders(kinds: Kinds, extra: Iterable[ExtraKind]) -> dict[str, list[str]]:
    """The folders of each kind below a volume's root."""
    folders = {kind: [f"models/{name}" for name in names] for kind, names in kinds.items()}
    for one in extra:
        # A kind of ComfyUI's own looks there too.
        folders.setdefault(one.kind, []).append(one.folder)
    return folders


def _unknown(volume: Path, folder: PurePosixPath, known: Set[PurePosixPath]) -> Iterator[str]:
    """As `unseen`, below one folder: only a folder further down may be known."""
    for entry in sorted(os.scandir(volume / folder), key=lambda entry: entry.name):
        here = folder / entry.name
        if here in known or entry.name.startswith(".") or not entry.is_dir():
            continue
        inside = list(os.scandir(entry))
        leads_on = any(here in other.parents for other in known)
        if inside and (not leads_on or not all(entry.is_dir() for entry in inside)):
            yield str(here)
        if leads_on:
            yield from _unknown(volume, here, known)


def _comment(unmapped: Iterable[str]) -> str:
    names = ", ".join(sorted(f"models/{name}" for name in unmapped))
    text = f"Nodes read these below ComfyUI's own folder, and no mapping changes that: {names}"
    wrap = partial(textwrap.fill, width=100, initial_indent="# ", subsequent_indent="# ")
    return wrap(text, break_on_hyphens=False) + "\n" if names else ""


def _own_section(folders: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The folders beside the file, which stands in ComfyUI's own: a pack may add its own only if its kind is new."""
    packs = {kind: [name for name in names if name.startswith("models/")] for kind, names in folders.items()}
    lines = [line for kind in sorted(packs.keys() - FOLDERS.keys()) for line in _kind(kind, packs[kind])]
    if lines:
        yield "\n".join([_OWN, *lines]) + "\n"


def _section(name: str, volume: str, folders: Mapping[str, Sequence[str]], *, default: bool) -> str:
    lines = [f"{name}:", f"  base_path: {_scalar(volume)}", *(["  is_default: true"] if default else [])]
    lines += [line for kind in sorted(folders) for line in _kind(kind, folders[kind])]
    return "\n".join(lines) + "\n"


def _kind(kind: str, folders: Sequence[str]) -> list[str]:
    """The lines of one kind; none without a folder."""
    names = list(dict.fromkeys(folders))
    if len(names) < 2:
        return [f"  {kind}: {_scalar(name)}" for name in names]
    return [f"  {kind}: |", *(f"    {name}" for name in names)]


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
