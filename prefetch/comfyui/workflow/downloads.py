"""What nodes fetch by themselves: which files, from where, and where they look for them first.

The table's form, for a class: a list of items, or one of them alone.

    models/sams/<file>                            a place below ComfyUI's folder; what <> encloses, no workflow tells
    models/LLM/{model:name}/                      a directory; {model} is the input's value, :name its last part
    {PLACE: SOURCE, …}                            places with what is fetched there; the source may be empty
    {by: model @ 0, of: {VALUE: ITEM, …}}         what one input's value chooses; "*" is any other value
    {by: model @ 0, of: SET}                      the same by the name of a set below ``download_sets``
    {by: model @ 0, of: …, when: precision @ 2 = fp16|bf16}   only where another widget holds one of these
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from prefetch.comfyui.workflow.entry import Entry
from prefetch.comfyui.workflow.tablevalues import Values

__all__ = ["Choice", "Download", "read_downloads", "read_sets"]

_VALUE = re.compile(r"\{([^{}@:]+?)(?:\s*@\s*([0-9]{1,3}))?(:name)?\}")
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Download:
    """A file, or a directory where both end with a slash, that is fetched; ``source`` is None where it is unknown."""

    place: str
    source: str | None = None

    def filled(self, value: str | None) -> Download:
        """The same with an input's value in place of its braces; with the input's name in ``<>`` where it has none."""
        if not _VALUE.search(self.place):
            return self
        if value is None:
            return Download(_VALUE.sub(r"<\1>", self.place))
        source = None if self.source is None else _filled(self.source, value)
        return Download(_filled(self.place, value), source)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is fetched by the value of one input; ``input`` is None where nothing chooses."""

    input: Entry | None
    of: Mapping[str, tuple[Download, ...]]

    def chosen(self, value: str | None) -> tuple[Download, ...]:
        """What an input's value chooses; of a value that is unknown or not there, as much as is known."""
        found = self.of.get(value or _ANY, self.of.get(_ANY))
        if found is None:
            places = (download.place for downloads in self.of.values() for download in downloads)
            found = tuple(Download(f"{place.rstrip('/').rpartition('/')[0]}/<file>") for place in islice(places, 1))
        return tuple(download.filled(value) for download in found)


Sets = Mapping[str, Mapping[str, tuple[Download, ...]]]


def read_sets(values: Values, value: object) -> Sets:
    """The section ``download_sets`` of a table.

    Raises:
        UsageError: naming the line of the first mistake.
    """
    at = "download_sets"
    return {name: _by_value(values, said, (at, name)) for name, said in values.mapping(value, (at,)).items()}


def read_downloads(values: Values, value: object, at: tuple[str, ...], sets: Sets) -> tuple[Choice, ...]:
    """What one class fetches.

    Raises:
        UsageError: naming the line of the first mistake.
    """
    return tuple(_choice(values, item, at, sets) for item in (value if isinstance(value, list) else [value]))


def _choice(values: Values, item: object, at: tuple[str, ...], sets: Sets) -> Choice:
    if isinstance(item, dict) and "by" in item:
        widget, of = values.widget(item["by"], (*at, "by")), item.get("of")
        if isinstance(of, str) and of not in sets:
            raise values.error((*at, "of"), f'there is no set "{of}" below download_sets', "Name one that is there.")
        chosen = sets[of] if isinstance(of, str) else _by_value(values, of, (*at, "of"))
        when = values.widget(item["when"], (*at, "when")) if "when" in item else None
        return Choice(Entry(widget.name, (), widget.at or 0, names="value", switch=when), chosen)
    downloads = tuple(_downloads(values, item, at))
    inputs = {match[1]: match[2] for download in downloads for match in _VALUE.finditer(download.place)}
    named = next((Entry(name, (), int(position or 0)) for name, position in inputs.items()), None)
    return Choice(named, {_ANY: downloads})


def _by_value(values: Values, value: object, at: tuple[str, ...]) -> Mapping[str, tuple[Download, ...]]:
    return {name: tuple(_downloads(values, item, (*at, name))) for name, item in values.mapping(value, at).items()}


def _downloads(values: Values, item: object, at: tuple[str, ...]) -> Iterator[Download]:
    if isinstance(item, str):
        yield Download(item)
        return
    for place, source in values.mapping(item, at).items():
        yield Download(place, None if source is None else values.text(source, (*at, place)))


def _filled(text: str, value: str) -> str:
    return _VALUE.sub(lambda match: value.rstrip("/").rpartition("/")[2] if match[3] else value, text)
