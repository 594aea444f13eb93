"""Which paths a manifest, or a record on the volume, may name."""

from __future__ import annotations

import re

__all__ = ["STATE", "check_model_path", "corrected_path", "is_model_path"]

STATE = ".prefetch"
"""The directory of our own state, below the volume's root."""

_LONGEST_NAME = 255
_LONGEST_PATH = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")


def check_model_path(path: str) -> None:
    """Raise ValueError, with a sentence, unless ``path`` is a plain path below the volume's root."""
    if problem := _problem(path):
        shown = path if len(path) <= 80 else f"{path[:79]}…"
        raise ValueError(f"the path {shown!a} {problem}")


def corrected_path(path: str, *, top: str = "models") -> str | None:
    """The plain path that was probably meant by one that `check_model_path` refuses; None if nothing tells.

    What a Windows or an absolute path has before the folder ``top``, or before what RunPod mounts, is not below the
    volume.
    """
    names = [name for name in _DRIVE.sub("", path.replace("\\", "/"), count=1).split("/") if name not in ("", ".")]
    if top in names[:-1]:
        names = names[names.index(top) :]
    elif names[:1] in (["workspace"], ["runpod-volume"]) and path.startswith("/"):
        names = names[1:]
    meant = "/".join(names)
    return meant if meant != path and _problem(meant) is None else None


def is_model_path(value: object) -> bool:
    """Whether a value that somebody else wrote is such a path."""
    return isinstance(value, str) and _problem(value) is None


def _problem(path: str) -> str | None:
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "is absolute; paths start below the volume's root"
    if "\\" in path:
        return "has a backslash; directories are separated by forward slashes"
    if _CONTROL.search(path):
        return "has a control character (in double quotes, YAML makes one of a backslash and a letter)"
    if _DRIVE.match(path):
        return "starts with a drive letter; paths start below the volume's root"
    if path.endswith("/"):
        return "ends with a slash; it has to name a file"
    if path.casefold().startswith(STATE):
        return f"lies in {STATE}, which is kept for prefetch's own state"
    return _problem_of_names(path)


def _problem_of_names(path: str) -> str | None:
    try:
        names = path.encode().split(b"/")
    except UnicodeEncodeError:
        return "has a character that no file name can hold"
    if b".." in names:
        return "has a '..', which could lead out of the volume"
    if b"" in names or b"." in names:
        return "has an empty component or a '.'"
    if max(map(len, names)) > _LONGEST_NAME:
        return f"has a name of more than {_LONGEST_NAME} bytes"
    if len(path.encode()) > _LONGEST_PATH:
        return f"is longer than {_LONGEST_PATH} bytes"
    return None
