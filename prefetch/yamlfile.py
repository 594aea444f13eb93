"""YAML text as plain objects that remember their lines.

The dialect is YAML 1.2's core schema: ``true``, ``null``, ``12``, ``0o17``, ``0xff`` and ``1.5`` are values, while
``no``, ``on`` and ``12:30:00`` are text. What a small file for people never needs and a hostile one does is refused:
aliases, anchors, tags, several documents, a key twice, deep nesting.

The text comes from strangers, and what was named by mistake may be anybody's secret. So an error quotes the lines of a
document of ours only (``version: 1``), without what looks like a credential.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from yaml.events import (
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from prefetch.net.urls import redact

__all__ = ["MAX_BYTES", "YamlError", "YamlMapping", "YamlSequence", "glued_key", "line_of", "parse_yaml"]

MAX_BYTES = 16 * 2**20
_MAX_DEPTH = 32
_MAX_NODES = 300_000
_MAX_NUMBER = 32  # characters; what is longer is a hash whose digits all happen to be decimal

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG_DIRECTIVE = re.compile("(?:^|[\r\n\x85\u2028\u2029])%TAG")
_INT = re.compile(r"[-+]?[0-9]+")
_PREFIXED_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONSTANTS = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("+-.0123456789")


_OURS = re.compile(r"^version:[ \t]*1[ \t]*(?:#.*)?$", re.MULTILINE)
_GLUED = re.compile(r"\s*(?:- +)?(?!civitai:|urn:)([a-z][a-z0-9_]*):(?=[^\s/])")
"""A key with its value right behind the colon, which makes one word of the two; no scheme of a source."""
_QUOTED = 100  # characters of a line
_LOOKED_AT = 2048  # the search for secrets takes quadratic time in the worst case


class YamlError(ValueError):
    """The text cannot be read as YAML.

    Attributes:
        line: counted from 1, None where the whole text is meant.
        excerpt: the line above, that line and a mark below it, where the text may be quoted; else empty.
    """

    def __init__(self, message: str, line: int | None = None, *, excerpt: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.excerpt = excerpt


class YamlMapping(dict[str, object]):
    """A mapping; ``line`` is where it begins and ``lines`` where each of its keys stands."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class YamlSequence(list[object]):
    """A sequence; ``line`` is where it begins and ``lines`` where each of its items begins."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def line_of(node: object, location: Sequence[str | int]) -> int:
    """The line of the deepest part of ``location`` (keys and indexes from ``node``) that the text has."""
    line = node.line if isinstance(node, YamlMapping | YamlSequence) else 1
    for step in location:
        child = _child(node, step)
        if child is None:
            break
        line, node = child
    return line


def _child(node: object, step: str | int) -> tuple[int, object] | None:
    if isinstance(node, YamlMapping) and isinstance(step, str) and step in node:
        return node.lines[step], node[step]
    if isinstance(node, YamlSequence) and isinstance(step, int) and step < len(node):
        return node.lines[step], node[step]
    return None


def parse_yaml(data: bytes) -> object:
    """The one document in ``data`` (UTF-8, with or without a byte order mark): None where it holds none.

    Mappings come as `YamlMapping`, sequences as `YamlSequence`, scalars as str, int, float, bool or None.

    Raises:
        YamlError: with one sentence and the line.
    """
    text = _decode(data)
    parser = yaml.CSafeLoader(text)
    try:
        return _Composer(parser).document()
    except yaml.MarkedYAMLError as error:
        raise _told(error, text) from None
    except yaml.YAMLError:
        raise YamlError("this is not YAML.") from None
    finally:
        parser.dispose()


def _told(error: yaml.MarkedYAMLError, text: str) -> YamlError:
    never_closed = error.context_mark is not None and "end of stream" in str(error.problem)
    mark = error.context_mark if never_closed else error.problem_mark or error.context_mark
    message = f"this is not YAML: {'what begins here has no end' if never_closed else _explained(error)}."
    if mark is None:
        return YamlError(message)
    lines = text.splitlines()
    for line in (mark.line - 1, mark.line, mark.line - 2):
        if 0 <= line < len(lines) and (key := glued_key(lines[line])) is not None:
            blank = f'this is not YAML: a blank is missing behind "{key}:".'
            return YamlError(blank, line + 1, excerpt=_excerpt(text, line, lines[line].index(f"{key}:") + len(key) + 1))
    if mark.line and not never_closed:
        # The parser stops where it can go on no more, which is often the line below the mistake.
        message += " The mistake may stand in the line above."
    return YamlError(message, mark.line + 1, excerpt=_excerpt(text, mark.line, mark.column))


def glued_key(text: str) -> str | None:
    """The key that ``text`` begins with, if its value stands right behind the colon: YAML wants a blank there."""
    found = _GLUED.match(text)
    return None if found is None else found[1]


def _excerpt(text: str, line: int, column: int) -> str:
    """Two lines and a mark; empty where the text is no document of ours, and so perhaps somebody's secret."""
    if not _OURS.search(text):
        return ""
    lines = text.splitlines()
    if line > len(lines):
        return ""
    width = len(str(line + 1))
    shown = [
        f"  {number + 1:>{width}} | {_quotable(lines[number])}"
        for number in (line - 1, line)
        if 0 <= number < len(lines)
    ]
    return "\n".join([*shown, f"  {'':>{width}} | {' ' * min(column, _QUOTED)}^"])


def _quotable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in redact(line[:_LOOKED_AT])[:_QUOTED])


def _explained(error: yaml.MarkedYAMLError) -> str:
    if error.problem == "found character that cannot start any token":
        return f"{error.problem} (often a tab: indent with spaces, and quote a value that begins with @, ` or %)"
    return str(error.problem)


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise YamlError(f"the file is larger than {MAX_BYTES // 2**20} MiB.")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise YamlError("the file is UTF-16, as some Windows programs write; save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError("a byte is not UTF-8 text.", data.count(b"\n", 0, error.start) + 1) from None
    if found := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise YamlError(f"a control character (U+{ord(found[0]):04X}) has no place in text.", line)
    if found := _TAG_DIRECTIVE.search(text):  # the parser's time grows with the square of their number
        raise YamlError("%TAG directives are refused.", text.count("\n", 0, found.end()) + 1)
    return text


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


class _Composer:
    """Builds objects straight from the parser's events, the last ones that know their lines."""

    def __init__(self, parser: yaml.CSafeLoader) -> None:
        self._next: Callable[[], Any] = parser.get_event
        self._nodes = 0

    def document(self) -> object:
        self._next()  # the stream's start
        if isinstance(self._next(), StreamEndEvent):
            return None
        value = self._node(self._next(), _MAX_DEPTH)
        self._next()  # the document's end
        event = self._next()
        if isinstance(event, DocumentStartEvent):
            raise YamlError("a second document begins here; a file may hold one only.", _line(event))
        return value

    def _node(self, event: Event, depth: int) -> object:
        if isinstance(event, ScalarEvent):
            self._admit(event)
            return event.value if event.style else _resolved(event.value)
        if isinstance(event, CollectionStartEvent):
            self._admit(event)
            return self._collection(event, depth)
        raise YamlError("aliases (*name) are refused; write the value out.", _line(event))

    def _admit(self, event: ScalarEvent | CollectionStartEvent) -> None:
        if event.anchor is not None:
            raise YamlError("anchors (&name) are refused; write the value out where it is needed.", _line(event))
        if event.tag is not None:
            raise YamlError("tags (!name) are refused.", _line(event))
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise YamlError(f"the file holds more than {_MAX_NODES} values.", _line(event))

    def _collection(self, event: CollectionStartEvent, depth: int) -> object:
        if depth == 0:
            raise YamlError(f"the nesting is deeper than {_MAX_DEPTH} levels.", _line(event))
        if isinstance(event, MappingStartEvent):
            return self._mapping(_line(event), depth - 1)
        return self._sequence(_line(event), depth - 1)

    def _mapping(self, line: int, depth: int) -> YamlMapping:
        mapping = YamlMapping(line)
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event)
            if key in mapping:
                first = mapping.lines[key]
                raise YamlError(f"this key stands twice in one mapping, first in line {first}.", _line(event))
            mapping.lines[key] = _line(event)
            mapping[key] = self._node(self._next(), depth)
        return mapping

    def _key(self, event: Event) -> str:
        if not isinstance(event, ScalarEvent):
            raise YamlError("a key must be plain text, not a list, a mapping or an alias.", _line(event))
        self._admit(event)
        key: str = event.value
        return key

    def _sequence(self, line: int, depth: int) -> YamlSequence:
        sequence = YamlSequence(line)
        while not isinstance(event := self._next(), SequenceEndEvent):
            sequence.lines.append(_line(event))
            sequence.append(self._node(event, depth))
        return sequence


def _resolved(text: str) -> object:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_STARTS or len(text) > _MAX_NUMBER:
        return text
    return _number(text)


def _number(text: str) -> int | float | str:
    if _INT.fullmatch(text):
        return int(text)
    if _PREFIXED_INT.fullmatch(text):
        return int(text, base=0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text
