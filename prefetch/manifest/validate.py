"""A parsed YAML document → a `Manifest`, or every problem of it in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from prefetch.manifest.model import Folder, Manifest, Model, OpenEntry
from prefetch.manifest.problems import Place, Problem, manifest_error, nearest, printable, shown
from prefetch.net.urls import redact
from prefetch.volume.paths import corrected_path
from prefetch.yamlfile import YamlMapping, glued_key, line_of

__all__ = ["validate"]

_PIECE, _MOST_PROBLEMS, _MOST_KEYS = 500, 1_000, 64
_ENTRY = "Begin each entry with a dash: - path: models/vae/NAME.safetensors, and its source: below."
_PATH = "Write a path with forward slashes, as in models/vae/NAME.safetensors."
_SOURCE = "Write an address, as in hf://owner/repo/NAME.safetensors."
_RULES = {
    "models": ("a list of entries", _ENTRY),
    "models[]": ("a mapping with path and source", _ENTRY),
    "path": ("text", _PATH),
    "source": ("text of at most 4096 characters", _SOURCE),
    "mirrors": (
        "a list of at most 64 addresses",
        "Write brackets even for one: mirrors: [hf://owner/repo/NAME.safetensors].",
    ),
    "mirrors[]": ("text of at most 4096 characters", _SOURCE),
    "sha256": ("64 hexadecimal digits", "Copy it from the file's page on its host, or leave the key out."),
    "size": ("a whole number of bytes", "Write all digits, as in 253815318, or leave the key out."),
    "models[].include": ("a list of at most 100 patterns", "Write brackets even for one: include: ['*.json']."),
    "models[].exclude": ("a list of at most 100 patterns", "Write brackets even for one: exclude: ['*.md']."),
    "models[].include[]": ("text", "Write a pattern, as in '*.json'."),
    "models[].exclude[]": ("text", "Write a pattern, as in '*.md'."),
    "groups": ("a list of at most 64 names", "Write brackets even for one: groups: [i2v]."),
    "groups[]": (
        "a name of at most 64 letters, digits, dots, dashes and underscores",
        "Write it as in i2v; quote a name that is a number.",
    ),
    "node_path": ("text", _PATH),
    "include": ("a list of at most 64 files", "Write brackets even for one: include: [extras.yaml]."),
    "include[]": ("text", "Write a file's path relative to this file, as in extras.yaml."),
}
"""For each place of the form: what must stand there, and what to do if it does not."""


_KINDS: dict[str, type[BaseModel]] = {"file": Model, "folder": Folder, "open": OpenEntry}


def validate(document: object, file: str) -> Manifest:
    """The manifest in ``document``, as `parse_yaml` gave it; ``file`` is its name in errors.

    Raises:
        ManifestError: naming every problem's file, line, entry and remedy.
    """
    if problem := _foreign(document, file):
        raise manifest_error([problem])
    parts: list[Manifest] = []
    details: list[ErrorDetails] = []
    for start, piece in _pieces(document):
        try:
            parts.append(Manifest.model_validate(piece))
        except ValidationError as error:
            details += _moved(error, start)
        if len(details) > _MOST_PROBLEMS:
            break
    if not details:
        return parts[0].model_copy(update={"models": tuple(model for part in parts for model in part.models)})
    details.sort(key=lambda detail: line_of(document, _place(detail["loc"])))
    problems = [_problem(detail, document, file) for detail in details[:_MOST_PROBLEMS]]
    raise manifest_error(problems, more=len(details) > _MOST_PROBLEMS)


def _pieces(document: Any) -> Iterator[tuple[int, dict[str, object]]]:
    """The document in parts of some hundred entries, with the number of the first: each error takes a kilobyte."""
    models = document.get("models")
    yield 0, {**document, "models": models[:_PIECE]} if isinstance(models, list) else document
    for start in range(_PIECE, len(models) if isinstance(models, list) else 0, _PIECE):
        yield start, {"version": 1, "models": models[start : start + _PIECE]}


def _moved(error: ValidationError, start: int) -> Iterator[ErrorDetails]:
    """What is wrong with a part, where it stands in the whole."""
    for detail in error.errors(include_url=False):
        first, *rest = detail["loc"]
        if first == "models" and rest and isinstance(rest[0], int):
            detail["loc"] = (first, rest[0] + start, *rest[1:])
        yield detail


def _foreign(document: object, file: str) -> Problem | None:
    """The one problem of a file that is no manifest of this version; nothing of such a file is quoted."""
    if _is_workflow(document):
        remedy = f"Make a manifest of what it loads: prefetch workflow manifest {printable(file)} -o models.yaml"
        return Problem(Place(file), "this is a workflow of ComfyUI, and not a manifest.", remedy)
    if not isinstance(document, YamlMapping) or "version" not in document:
        remedy = 'A manifest begins with "version: 1" and names its files under "models:".'
        return Problem(Place(file), "this is not a manifest.", remedy)
    if document["version"] is True or document["version"] != 1:
        remedy = 'Write "version: 1", or install a prefetch that reads this one.'
        return Problem(Place(file, document.lines["version"]), "the manifest's version is not 1.", remedy)
    entries = document.get("models")
    for mapping in (document, *(entries if isinstance(entries, list) else ())):
        if isinstance(mapping, YamlMapping) and len(mapping) > _MOST_KEYS:
            message = f"this mapping has more than {_MOST_KEYS} keys."
            return Problem(Place(file, mapping.line), message, "Begin each entry of models: with a dash.")
    if "models" not in document and "include" not in document:
        return Problem(Place(file), "the manifest names no model.", 'List the files under "models:".')
    return None


def _is_workflow(document: object) -> bool:
    """Whether it is one that ComfyUI saved, or one in the form of its API."""
    if not isinstance(document, YamlMapping) or "models" in document:
        return False
    nodes = document.get("nodes")
    return isinstance(nodes, list) or any(isinstance(node, dict) and "class_type" in node for node in document.values())


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where pydantic found something: ``entry`` as a person would say it, the keys below it, and those there are."""

    entry: str
    keys: tuple[int | str, ...]
    known: tuple[str, ...]

    @property
    def name(self) -> str:
        return "".join(f"[{key}]" if isinstance(key, int) else key for key in self.keys)

    @property
    def rule(self) -> tuple[str, str]:
        name = "".join("[]" if isinstance(key, int) else key for key in self.keys) or "models[]"
        own = f"models[].{name}"
        return _RULES[own if self.entry and own in _RULES else name]


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where it is in the document: without the word by which pydantic tells the two kinds of entry apart."""
    return (*location[:2], *location[3:]) if location[0] == "models" else location


def _spot(document: Any, location: tuple[int | str, ...]) -> _Spot:
    if len(location) < 2 or location[0] != "models":
        return _Spot("", location, tuple(Manifest.model_fields))
    index, keys = location[1], location[3:]
    kind = _KINDS.get(str(location[2]) if len(location) > 2 else "", Model)
    entry = document["models"][index]
    path = entry.get("path") if isinstance(entry, dict) and keys != ("path",) else None
    named = f" ({printable(path)})" if isinstance(path, str) else ""
    return _Spot(f"entry {int(index) + 1}{named}: ", keys, tuple(kind.model_fields))


def _problem(detail: ErrorDetails, document: object, file: str) -> Problem:
    spot = _spot(document, detail["loc"])
    message, remedy = _sentences(detail, spot)
    return Problem(Place(file, line_of(document, _place(detail["loc"]))), spot.entry + message, remedy)


def _sentences(detail: ErrorDetails, spot: _Spot) -> tuple[str, str]:
    match detail["type"]:
        case "extra_forbidden":
            return f'the key "{printable(spot.name)}" is unknown.', _known_keys(spot)
        case "missing":
            return f'the key "{spot.name}" is missing.', spot.rule[1]
        case "value_error":
            sentence = redact(str(detail["ctx"]["error"]))
            meant = _meant(spot.name, detail["input"])
            return _broken_rule(sentence if meant is None else f"{sentence}; write {printable(meant)}.", spot)
        case "too_long":
            return f"{spot.name} must be {spot.rule[0]}, and has {len(detail['input'])}.", "Take some out."
    expected, remedy = spot.rule
    if isinstance(detail["input"], str) and (key := glued_key(detail["input"])) in ("path", "source"):
        return f'a blank is missing behind "{key}:".', remedy
    return f"{spot.name or 'the entry'} must be {expected}, not {shown(detail['input'])}.", remedy


def _meant(key: str, value: object) -> str | None:
    """The path that was meant, where one was refused and that can be told."""
    top = {"path": "models", "node_path": "custom_nodes"}.get(key)
    return corrected_path(value, top=top) if top is not None and isinstance(value, str) else None


def _broken_rule(sentence: str, spot: _Spot) -> tuple[str, str]:
    message = sentence if spot.name in ("", "path") else f"{spot.name}: {sentence}"
    # A sentence with its full stop has said what to do; one without has only said what is wrong.
    return (message, "") if message.endswith(".") else (f"{message}.", spot.rule[1])


def _known_keys(spot: _Spot) -> str:
    if close := nearest(spot.name, spot.known):
        return f'Did you mean "{close}"?'
    return f"The keys here are {', '.join(spot.known)}."
