"""Paths that ComfyUI most likely does not look at: a folder's name misspelt, or in the place of ``models/``.

A folder that nobody is known to look in may well be a custom node's own. So only what is nearly a known name is told,
and a short name has to be nearer than a long one: ``models/blip`` is no slip of ``models/clip``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prefetch.comfyui.kinds import FOLDERS
from prefetch.report.humanize import enumerated
from prefetch.report.notice import Listener, Notice

if TYPE_CHECKING:
    from prefetch.comfyui.workflow.loaders import LoaderTable

__all__ = ["meant_folder", "meant_path", "warn_misplaced"]

_FOLDERS = frozenset(folder for folders in FOLDERS.values() for folder in folders)
_MOUNTS = ("workspace/", "runpod-volume/")
"""Where RunPod mounts a volume, which is no part of a path on it."""
_SAFETENSORS = "safetensors"
_LONG = 6
"""Letters of a name from which on any one wrong letter is taken for a slip."""
_SEPARATORS = re.compile(r"[-_. ]+")


def warn_misplaced(paths: Iterable[str], listener: Listener) -> None:
    """Name the models whose path is nearly one that ComfyUI looks at, with the path that may be meant."""
    doubtful = [path for path in paths if not _is_usual(path)]
    if not doubtful:
        return
    # A tenth of a second, which only the folders of custom nodes and misspelt ones are worth.
    from prefetch.comfyui.workflow.loaders import load_table

    table = load_table()
    meant = ((path, meant_path(path, table)) for path in doubtful)
    if found := [f"{path} (did you mean {other}?)" for path, other in meant if other is not None]:
        listener(Notice("warning", f"ComfyUI will not find {enumerated(found)}"))


def meant_path(path: str, table: LoaderTable) -> str | None:
    """The path that was probably meant; None where ComfyUI or a node may well look at this one."""
    for mount in _MOUNTS:
        below = path.removeprefix(mount)
        if below != path and below.startswith(("models/", "ComfyUI/models/")):
            return meant_path(below, table) or below
    top, _, rest = path.partition("/")
    if top in _FOLDERS:
        rest = path
    elif top != "models" and not (_is_slip(_plain(top), "models") and _is_known(rest, table)):
        return None
    folder, slash, name = rest.rpartition("/")
    meant = f"models/{meant_folder(folder, table) or folder}{slash}{_with_right_ending(name)}"
    return None if meant == path else meant


def meant_folder(folder: str, table: LoaderTable) -> str | None:
    """The folder below ``models`` of which this one is a slip; None where somebody looks in it, or none is near."""
    known = {name for kind in table.kinds.values() for name in kind.folders} | table.fixed
    if folder in known:
        return None
    alike = {_plain(name): name for name in sorted(known)}
    if (whole := alike.get(_plain(folder))) is not None:
        return whole
    first, slash, rest = folder.partition("/")
    if first in {name.partition("/")[0] for name in known}:
        return None
    plain = _plain(first)
    near = alike.get(plain) or next((name for name in sorted(_FOLDERS) if _is_slip(plain, _plain(name))), None)
    return None if near is None else near + slash + rest


def _is_usual(path: str) -> bool:
    top, _, rest = path.partition("/")
    folder, slash, _ = rest.partition("/")
    return top == "models" and (not slash or folder in _FOLDERS) and _with_right_ending(path) == path


def _is_known(rest: str, table: LoaderTable) -> bool:
    """Whether what follows the top folder begins with a folder of models, or nearly so."""
    first, slash, _ = rest.partition("/")
    return bool(slash) and (first in _FOLDERS or meant_folder(first, table) is not None)


def _with_right_ending(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    plain = ending.casefold()
    return f"{stem}.{_SAFETENSORS}" if dot and plain != _SAFETENSORS and _is_slip(plain, _SAFETENSORS) else name


def _plain(name: str) -> str:
    """The name without case and separators."""
    return _SEPARATORS.sub("", name.casefold())


def _is_slip(word: str, known: str) -> bool:
    """Whether a word is the known one, or this with a plural's s, two letters in turned order, or one wrong letter."""
    begin = _shared(word, known)
    one, other = word[begin:], known[begin:]
    end = _shared(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    turned = len(one) == 2 and one == other[::-1]
    return turned or sorted((one, other)) in (["", ""], ["", "s"]) or (len(known) >= _LONG and len(one + other) <= 2)


def _shared(one: str, other: str) -> int:
    """How many letters two words begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
