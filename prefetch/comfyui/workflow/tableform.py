"""The form of a loader table, read as a person's text: a mistake is one sentence with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prefetch.errors import UsageError
from prefetch.yamlfile import line_of

__all__ = ["ROLES", "Entry", "Kind", "Place", "Table", "Widget", "read_table"]

ROLES = ("reroutes", "constants", "getters", "setters", "notes", "outputs", "inner", "bystanders", "tagged")
_KEYS = ("folder", "count", "switch", "weight")
_KIND_KEYS = ("folder", "fixed", "from")
_KNOWN_FROM = re.compile(r"unverified|[\w.-]+/[\w.-]+@[0-9a-f]{7,40}:[^\s:]+:[0-9]+")
_WIDGET_AT = re.compile(r"([^@=]+?)(?:\s*@\s*([0-9]{1,3}))?(?:\s*=\s*(.+))?")
_DIRECTORY = re.compile(r"(?!\.{0,2}(?:/|$))[^\s@|\\]+(?<!/)")
_FOLDER_AT = re.compile(r"([^@\s]+)(?:\s*@\s*([0-9]{1,3})(?:\s*\+\s*([0-9]{1,2}))?)?")


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
    """One input that names a model; a ``*`` in its name stands for a row's number.

    Attributes:
        folders: where the file stands: the keys of kinds, or ``models/DIRECTORY`` where the node asks for none. In a
            `LoaderTable` they are directories below ``models``. The first is meant unless the workflow says another.
        at: the widget's position among the node's, counted from 0.
        every: how many widgets a row takes, for an input with a ``*``.
        count: the widget that says how many rows count.
        switch: the widget that switches the input, or its row, off.
        weight: the widget that makes it needless when it is 0.
    """

    name: str
    folders: tuple[str, ...]
    at: int
    every: int | None = None
    count: Widget | None = None
    switch: Widget | None = None
    weight: Widget | None = None

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the input's name matches; the row's number is the first group."""
        before, star, after = self.name.partition("*")
        return re.compile(f"{re.escape(before)}{'(.+?)' if star else ''}{re.escape(after)}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node looks for what it fetches by itself; ``{input}`` in ``path`` stands for that widget's value."""

    path: str
    input: Entry | None

    def filled(self, value: str) -> str:
        """The place of the file that the input names."""
        return self.path if self.input is None else self.path.replace(f"{{{self.input.name}}}", value)


@dataclass(frozen=True, slots=True)
class Table:
    """One file's facts."""

    kinds: Mapping[str, Kind]
    aliases: Mapping[str, str]
    none_values: tuple[str, ...]
    stand_ins: Mapping[str, str]
    families: Mapping[str, Mapping[str, str]]
    endings: tuple[str, ...]
    roles: Mapping[str, tuple[str, ...]]
    loaders: Mapping[str, tuple[Entry, ...]]
    self_downloaded: Mapping[str, tuple[Place, ...]]


def read_table(document: object, file: str) -> Table:
    """The table in a parsed YAML document.

    Raises:
        UsageError: naming the line of the first mistake.
    """
    return _Reader(document, file).table()


class _Reader:
    """Reads one document; ``at`` is the way to the value that is read, for its line."""

    def __init__(self, document: object, file: str) -> None:
        self._document, self._file = document, file

    def table(self) -> Table:
        top = self._map(self._document, ())
        known = (
            "version",
            "kinds",
            "aliases",
            "none_values",
            "stand_ins",
            "families",
            "endings",
            "loaders",
            "self_downloaded",
            *ROLES,
        )
        for key in top:
            if key not in known:
                raise self._error((key,), f'the key "{key}" is unknown', f"The keys are {', '.join(known)}.")
        if top.get("version") != 1:
            raise self._error(("version",), "a loader table begins with version: 1", "Write that as its first line.")
        families = self._map(top.get("families"), ("families",))
        kinds = self._map(top.get("kinds"), ("kinds",))
        loaders = self._map(top.get("loaders"), ("loaders",))
        places = self._map(top.get("self_downloaded"), ("self_downloaded",))
        return Table(
            kinds={key: self._kind(value, ("kinds", key)) for key, value in kinds.items()},
            aliases=self._texts_by_name(top.get("aliases"), ("aliases",)),
            none_values=self._texts(top.get("none_values"), ("none_values",)),
            stand_ins=self._texts_by_name(top.get("stand_ins"), ("stand_ins",)),
            families={name: self._texts_by_name(value, ("families", name)) for name, value in families.items()},
            endings=self._texts(top.get("endings"), ("endings",)),
            roles={role: self._texts(top.get(role), (role,)) for role in ROLES},
            loaders={kind: tuple(self._entries(value, ("loaders", kind))) for kind, value in loaders.items()},
            self_downloaded={kind: self._places(value, ("self_downloaded", kind)) for kind, value in places.items()},
        )

    def _kind(self, value: object, at: tuple[str, ...]) -> Kind:
        fields = self._fields(value, _KIND_KEYS, at)
        self._check_known_from(fields, at)
        fixed = fields.get("fixed", False)
        if not isinstance(fixed, bool):
            raise self._error((*at, "fixed"), "true or false belongs here", "Write fixed: true, or leave it out.")
        folders = tuple(self._text(fields.get("folder"), (*at, "folder")).split("|"))
        if not all(map(_DIRECTORY.fullmatch, folders)):
            raise self._error(at, "a kind's folder is written LLM, or ultralytics/bbox, below models", "Correct it.")
        return Kind(folders, fixed)

    def _entries(self, value: object, at: tuple[str, ...]) -> Iterator[Entry]:
        row = self._map(value, at)
        self._check_known_from(row, at)
        inputs = (item for item in row.items() if item[0] != "from")
        for position, (name, said) in enumerate(inputs):
            yield self._entry(name, said, (*at, name), position)

    def _check_known_from(self, fields: Mapping[str, object], at: tuple[str, ...]) -> None:
        """A row may say where it is known from: for its readers, so only the form is checked."""
        if "from" in fields and not _KNOWN_FROM.fullmatch(self._text(fields["from"], (*at, "from"))):
            message = "where a row is known from is written owner/repository@commit:path:line, or unverified"
            raise self._error((*at, "from"), message, "Correct it, or leave it out.")

    def _fields(self, value: object, known: tuple[str, ...], at: tuple[str, ...]) -> Mapping[str, object]:
        fields = self._map(value, at) if isinstance(value, dict) else {"folder": value}
        for key in fields:
            if key not in known:
                raise self._error((*at, key), f'the key "{key}" is unknown', f"The keys are {', '.join(known)}.")
        return fields

    def _entry(self, name: str, said: object, at: tuple[str, ...], position: int) -> Entry:
        fields = self._fields(said, _KEYS, at)
        match = _FOLDER_AT.fullmatch(self._text(fields.get("folder"), (*at, "folder")))
        if match is None:
            raise self._error(at, "a folder is written loras, or loras @ 2 with the widget's position", "Correct it.")
        folders, place, every = match.groups()
        options = {key: self._widget(fields[key], (*at, key)) for key in _KEYS[1:] if key in fields}
        return Entry(
            name, tuple(folders.split("|")), int(place or position), every=int(every) if every else None, **options
        )

    def _widget(self, value: object, at: tuple[str, ...]) -> Widget:
        match = _WIDGET_AT.fullmatch(self._text(value, at))
        if match is None:
            raise self._error(at, "a widget is written toggle, or toggle @ 0 with its position", "Correct it.")
        return Widget(
            match[1], int(match[2]) if match[2] else None, tuple((match[3] or "").split("|")) if match[3] else ()
        )

    def _places(self, value: object, at: tuple[str, ...]) -> tuple[Place, ...]:
        paths = value if isinstance(value, list) else [value]
        return tuple(self._place(self._text(path, at)) for path in paths)

    def _place(self, path: str) -> Place:
        if found := re.search(r"\{([^{}@]+?)(?:\s*@\s*([0-9]{1,3}))?\}", path):
            entry = Entry(found[1], (), int(found[2] or 0))
            return Place(path.replace(found[0], f"{{{found[1]}}}"), entry)
        return Place(path, None)

    def _map(self, value: object, at: tuple[str, ...]) -> Mapping[str, object]:
        if value is None and at:
            return {}
        if not isinstance(value, dict):
            raise self._error(at, "a mapping belongs here", "Write NAME: VALUE.")
        return value

    def _texts(self, value: object, at: tuple[str, ...]) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._error(at, "a list belongs here", "Write brackets: [A, B].")
        return tuple(self._text(item, at) for item in value)

    def _texts_by_name(self, value: object, at: tuple[str, ...]) -> Mapping[str, str]:
        return {name: self._text(item, (*at, name)) for name, item in self._map(value, at).items()}

    def _text(self, value: object, at: tuple[str, ...]) -> str:
        if not isinstance(value, str):
            raise self._error(at, "a text belongs here", "Write it in quotes if it looks like a number.")
        return value

    def _error(self, at: tuple[str, ...], message: str, remedy: str) -> UsageError:
        return UsageError(f"{self._file}:{line_of(self._document, at)}: {message}.", remedy=remedy)
