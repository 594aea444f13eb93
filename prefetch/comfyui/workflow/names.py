"""Which texts are a model file's name, which mean no file, and which must never become a path. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from prefetch.volume.paths import check_model_path

__all__ = ["ENDINGS", "doubt", "ending_of", "is_model_name", "plain_name", "unwrapped"]

ENDINGS = (
    *(".safetensors", ".ckpt", ".pt", ".bin", ".pth", ".sft", ".gguf", ".pt2", ".pkl", ".pickle", ".th", ".t7"),
    *(".onnx", ".engine", ".trt", ".plan", ".torchscript", ".jit", ".patch", ".ipadpt", ".task", ".tflite"),
    *(".h5", ".hdf5", ".keras", ".msgpack", ".npz", ".caffemodel", ".pdparams", ".weights", ".nemo", ".mlpackage"),
)
"""Every ending that a loader's folder is known to list as a model's; the usual ones first."""

_ENDING = re.compile(rf"(?:{'|'.join(map(re.escape, ENDINGS))})$", re.IGNORECASE)
_LONGEST = 300
_UNLIKE = re.compile(r"[\n\r\t<>\"|?*]|://")
_PLACEHOLDER = re.compile(
    r"\{\{|\$\{|%\w{1,50}%|(?:your|put|insert|lora|model)[\w-]{0,50}_here\b|placeholder"
    r"|\byour[ _-]?(?:\w{1,50}[ _-])?(?:lora|model|checkpoint|file|vae)(?:\b|_)",
    re.IGNORECASE,
)
_WRAPPERS = {"__value__": None, "content": None}.keys()
_WRAPPINGS = 4
_DRIVE = re.compile(r"[A-Za-z]:")


def is_model_name(value: object) -> bool:
    """Whether a widget's value looks like the name of a model file: one line with a model's ending."""
    return (
        isinstance(value, str)
        and 3 < len(value) <= _LONGEST
        and _ENDING.search(value) is not None
        and _UNLIKE.search(value) is None
    )


def ending_of(name: str) -> str:
    """The model's ending that a name has, with its dot; empty where it has none."""
    found = _ENDING.search(name)
    return found[0] if found else ""


def unwrapped(value: object) -> object:
    """The value that stands inside what some nodes put around it: ``{content}``, ``{"__value__": …}``, ``[value]``."""
    for _ in range(_WRAPPINGS):
        if isinstance(value, dict) and value.keys() & _WRAPPERS:
            value = next(value[key] for key in _WRAPPERS if key in value)
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            value = value[0]
        else:
            break
    return value


def plain_name(value: str) -> str:
    """A file's name with forward slashes, as it stands below its folder."""
    return value.strip().replace("\\", "/")


def doubt(name: str, folder: str, *, endings: Collection[str] = ()) -> str | None:
    """Why a plain name cannot be a file below ``models/<folder>``; None if it can.

    Args:
        endings: what its loader lists beside `ENDINGS`, lower-case, with their dots.
    """
    if len(name) > _LONGEST:
        return "it is too long for a file's name"
    if "://" in name:
        return "it is an address, not a file's name"
    if _PLACEHOLDER.search(name):
        return "it is a placeholder, not a file's name"
    if name.startswith("/") or _DRIVE.match(name):
        return "it is a path of another machine, not a name below ComfyUI's models"
    try:
        check_model_path(f"models/{folder}/{name}")
    except ValueError as error:
        return str(error)
    if ending_of(name) or name.lower().endswith(tuple(endings)):
        return None
    return f"it has no model's ending; it may be a folder, models/{folder}/{name}, or a name made up by its node"
