"""How a text names model files: each by its own name, or shorter, or in ``<lora:…>`` tags among other words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prefetch.comfyui.workflow.names import ENDINGS, ending_of, plain_name

__all__ = ["FORMS", "PAGE", "AnyOf", "Reference", "in_text", "references", "tags_in"]

_TAG = re.compile(r"<lora:([^<>\n]{1,400})>", re.IGNORECASE)
_EDGES = re.compile(r"^<(?:lora|lyco):|>$", re.IGNORECASE)
_TORCH = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})
"""ComfyUI's own endings of models, as its ``folder_paths.supported_pt_extensions`` has them."""

_BEHIND = {
    "stem": ".{" + ",".join(ending[1:] for ending in ENDINGS[:4]) + ",…}",
    "file": "",
    "beginning": "*",
    "end": "",
}
_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*")


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The files below a folder that a short name may mean; a node that has several takes the first it finds.

    Attributes:
        name: as much of the file's name as its node is given, with forward slashes.
        how: ``stem``: any ending; ``file``: its own ending; ``beginning``: whatever follows. All in any sub-folder, the
            named one before all others. ``end``: a path that ends so, the sub-folder that it names with it.
    """

    name: str
    how: Literal["stem", "file", "beginning", "end"]

    @property
    def is_whole(self) -> bool:
        """Whether the name has the file's own ending, and so may be a path below the folder."""
        return self.how in ("file", "end")

    def __str__(self) -> str:
        """The files as a pattern below their folder, for people."""
        return f"**/{self.name}{_BEHIND[self.how]}"

    def choose(self, files: Iterable[str]) -> list[str]:
        """Those of ``files``, paths below the folder, that are meant."""
        if self.how == "end":
            return [file for file in files if f"/{file}".endswith(f"/{self.name}")]
        fitting = [file for file in files if self._fits(_base(file), _base(self.name))]
        exact = [file for file in fitting if self._fits(file, self.name)] if "/" in self.name else []
        return exact or fitting

    def _fits(self, file: str, name: str) -> bool:
        if self.how == "stem":
            return bool(ending_of(file)) and file.removesuffix(ending_of(file)) == name
        return file.startswith(name) if self.how == "beginning" else file == name


@dataclass(frozen=True, slots=True)
class Reference:
    """A file as a text names it: by the name that it has below its folder, or any of those that a shorter one fits."""

    name: str
    any_of: AnyOf | None = None


def _file(name: str) -> Reference:
    return Reference(name)


def _stem(name: str) -> Reference:
    return Reference(name, AnyOf(name, "file" if ending_of(name) else "stem"))


def _beginning(name: str) -> Reference:
    return Reference(name, AnyOf(name, "file" if ending_of(name) else "beginning"))


def _safetensors(name: str) -> Reference:
    return Reference(f"{name}.safetensors", AnyOf(f"{name}.safetensors", "end"))


def _whole(name: str) -> Reference:
    return Reference(name if ".safetensors" in name else f"{name}.safetensors")


def _torch(name: str) -> Reference:
    dot, _, ending = name.rpartition(".")
    return Reference(name, AnyOf(name, "end")) if dot and f".{ending}" in _TORCH else _safetensors(name)


_Naming = Callable[[str], Reference]

_PLAIN: Mapping[str, _Naming] = {"file": _file, "stem": _stem}
_TAGGED: Mapping[str, _Naming] = {
    "tags-file": _file,
    "tags-stem": _stem,
    "tags-beginning": _beginning,
    "tags-torch": _torch,
    "tags-safetensors": _safetensors,
    "tags-whole": _whole,
    "tags-scheduled": _stem,
}
_COMMENTED = {"tags-torch": ("#",), "tags-scheduled": ("#",), "lines-file": ("#", "//"), "lines-stem": ("#", "//")}
"""Forms in whose texts a line that begins so is a comment."""

_LINED: Mapping[str, _Naming] = {"lines-file": _file, "lines-stem": _stem}
PAGE = "page"
FORMS = (*_PLAIN, *_TAGGED, *_LINED, PAGE)
"""The forms in which an input names files, as the loader table writes them.

``file``: by the whole name. ``stem``: without folder and ending. ``tags-…``: in tags, where ``torch`` has .safetensors
added unless it has an ending, ``safetensors`` always, and ``whole`` once, to a name with its folder; ``scheduled`` is
``stem`` in texts with comments. ``lines-…``: in lines, or parts of them between commas, of ``NAME:WEIGHT`` or a tag
each. ``page``: it only helps the page.
"""


def in_text(form: str) -> bool:
    """Whether the files of a form stand in a text of several: in tags among other words, or in lines."""
    return form in _TAGGED or form in _LINED


def references(form: str, text: str) -> Iterator[Reference]:
    """The files that a text of a form names, each once."""
    said = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(_COMMENTED.get(form, "\n")))
    if form in _TAGGED:
        yield from (_TAGGED[form](plain_name(name)) for name in tags_in(said))
    elif form in _LINED:
        yield from (_LINED[form](plain_name(name)) for name in _lines_in(said))
    else:
        yield _PLAIN[form](plain_name(text))


def tags_in(text: str) -> list[str]:
    """The names in a text's ``<lora:NAME:WEIGHT…>`` tags, without those that weigh 0."""
    return _weighed(_TAG.findall(text))


def _lines_in(text: str) -> list[str]:
    parts = (part.strip() for line in text.split("\n") for part in line.partition("#")[0].split(","))
    return _weighed(_EDGES.sub("", part) for part in parts)


def _weighed(said: Iterable[str]) -> list[str]:
    """The names in ``NAME:WEIGHT…``, each once, without those that weigh 0."""
    found = (one.strip(":").split(":") for one in said)
    return list(dict.fromkeys(name for name, *weights in found if name.strip() and not _weighs_nothing(weights)))


def _weighs_nothing(said: Iterable[str]) -> bool:
    weights = [float(part) for part in said if _NUMBER.fullmatch(part)]
    return bool(weights) and not any(weights)


def _base(path: str) -> str:
    return path.rpartition("/")[2]
