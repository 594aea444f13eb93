"""What a manifest that was fetched may not name: others wrote it, and this machine's files are none of theirs."""

from __future__ import annotations

from collections.abc import Iterator

from prefetch.manifest.model import Manifest, Model
from prefetch.manifest.problems import Place, Problem, manifest_error
from prefetch.net.urls import is_loopback_host
from prefetch.sources.refs.file import FileRef
from prefetch.sources.refs.http import HttpRef
from prefetch.sources.refs.source import parse_source
from prefetch.yamlfile import line_of

__all__ = ["check_fetched"]


def check_fetched(manifest: Manifest, document: object, name: str, *, allow_private: bool) -> None:
    """Raise ManifestError if any source is a file, or without ``allow_private`` an address, of this machine."""
    problems: list[Problem] = []
    for index, model in enumerate(manifest.models):
        if not isinstance(model, Model):
            continue
        place = Place(name, line_of(document, ("models", index)))
        for source in (model.source, *model.mirrors):
            problems += _problems(place, f"entry {index + 1}", source, allow_private)
    if problems:
        raise manifest_error(problems)


def _problems(place: Place, entry: str, source: str, allow_private: bool) -> Iterator[Problem]:
    ref = parse_source(source)
    if isinstance(ref, FileRef):
        message = f"{entry}: a manifest that was fetched may not name a file of this machine."
        yield Problem(place, message, "Put that entry into a manifest of your own.")
    if isinstance(ref, HttpRef) and is_loopback_host(ref.url.host) and not allow_private:
        message = f"{entry}: a manifest that was fetched may not name an address of this machine."
        yield Problem(place, message, "If that is meant, run with --allow-private.")
