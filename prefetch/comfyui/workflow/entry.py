"""What a loader table knows of kinds of models, and of one input of a node class."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Entry", "Kind", "Widget"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What nodes ask ComfyUI for by one key.

    Attributes:
        folders: where ComfyUI looks for it, below ``models``: a model is put into the first.
        fixed: whether the node's pack sets these folders whatever ComfyUI was told of others, so that
            extra_model_paths.yaml does not move them.
    """

    folders: tuple[str, ...]
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Widget:
    """Another widget of the same node, its position where files may not name it, and its values that mean on."""

    name: str
    at: int | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One input that names models; a ``*`` in its name stands for a row's number.

    Attributes:
        folders: where the file stands: the keys of kinds, or ``models/DIRECTORY`` where the node asks for none. In a
            `LoaderTable` they are directories below ``models``. The first is meant unless the workflow says another.
        at: the widget's position among the node's, counted from 0.
        every: how many widgets a row takes, for an input with a ``*``.
        names: how its text names files: one of `naming.FORMS`; ``value`` where what it names are no files.
        prompt: whether it is a prompt, which may name files among other words, and need not.
        endings: what the loader lists beside the usual endings of models.
        count: the widget that says how many rows count.
        switch: the widget that switches the input, or its row, off.
        weight: the widget that makes it needless when it is 0.
    """

    name: str
    folders: tuple[str, ...]
    at: int
    every: int | None = None
    names: str = "file"
    prompt: bool = False
    endings: tuple[str, ...] = ()
    count: Widget | None = None
    switch: Widget | None = None
    weight: Widget | None = None

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the input's name matches; the row's number is the first group."""
        before, star, after = self.name.partition("*")
        return re.compile(f"{re.escape(before)}{'(.+?)' if star else ''}{re.escape(after)}")
