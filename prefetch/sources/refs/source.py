"""A source's text → the kind of host it names, and there the file. Text in, a reference or a sentence out."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from urllib.parse import unquote

from prefetch.net.urls import without_tokens
from prefetch.sources.refs.civitai import (
    CIVITAI_SITES,
    CivitaiModelRef,
    CivitaiRef,
    parse_air,
    parse_civitai,
    parse_civitai_link,
)
from prefetch.sources.refs.file import FileRef, parse_file
from prefetch.sources.refs.http import HttpRef, parse_address, parse_http
from prefetch.sources.refs.hub import HUB_SITES, HuggingFaceRef, parse_hf, parse_hub_link
from prefetch.sources.refs.shown import holds_control, shown

__all__ = ["SourceRef", "file_name", "parse_listed_source", "parse_source", "parse_stored_source", "pinned_to"]

SourceRef = HuggingFaceRef | CivitaiRef | CivitaiModelRef | HttpRef | FileRef

_SCHEMES = ("hf://", "https://", "http://", "file://", "civitai:", "urn:air:")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def parse_source(text: str) -> SourceRef:
    """What ``text`` names; ``str()`` of the answer is its canonical form and parses to the same.

    Raises:
        ValueError: one sentence that says what is wrong with it and what to write; never with a credential in it.
    """
    if holds_control(text):
        raise ValueError("The source holds a control character; write it on one line without any.")
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    match scheme:
        case "hf":
            return parse_hf(text)
        case "https" | "http":
            return _parse_link(text)
        case "file":
            return parse_file(text)
        case "civitai":
            return parse_civitai(text)
        case "urn":
            return parse_air(text)
    raise ValueError(_unknown_scheme(text))


def parse_stored_source(text: str) -> SourceRef:
    """As `parse_source`, for a text that stands in files: whoever reads one of them could use a signed address."""
    ref = parse_source(text)
    if isinstance(ref, HttpRef) and ref.signed:
        raise ValueError(
            f"{ref.url} carries a credential, its signature; take it out of the manifest, and name the file by an "
            "address that is not signed."
        )
    return ref


def parse_listed_source(text: str) -> SourceRef:
    """As `parse_stored_source`, for an address from a list that others keep: their tokens are left out."""
    return parse_stored_source(without_tokens(text))


def pinned_to(ref: SourceRef, commit: str | None) -> SourceRef:
    """The same file at ``commit``, where its host has commits and one is given."""
    return replace(ref, revision=commit) if commit is not None and isinstance(ref, HuggingFaceRef) else ref


def _parse_link(text: str) -> SourceRef:
    url = parse_address(text)
    if url.site in HUB_SITES:
        return parse_hub_link(text, url)
    if url.site in CIVITAI_SITES:
        return parse_civitai_link(url)
    return parse_http(url)


def file_name(source: str) -> str | None:
    """The name of the file that a valid source leads to; None where its text tells none, as of a version on Civitai."""
    match parse_source(source):
        case HuggingFaceRef(path=path) | FileRef(path=path):
            name = path
        case HttpRef(url=url):
            last = unquote(url.path).rpartition("/")[2]
            # What a query chooses at …/download?file=x has another name than the page that gives it.
            name = last if "." in last or not url.query else ""
        case _:
            name = ""
    return name.rpartition("/")[2] or None


def _unknown_scheme(text: str) -> str:
    known = "known are " + ", ".join(_SCHEMES)
    if _DRIVE.match(text):
        return f"{shown(text)} is a path on Windows; a file on this machine is file:///absolute/path."
    match = re.match(r"([A-Za-z][\w+.-]*):", text)
    if match is None:
        return f"{shown(text)} has no scheme; {known}. A file on the Hub is hf://owner/repo/path."
    scheme = match[1].lower()
    names = {form.partition(":")[0]: form for form in _SCHEMES}
    nearest = difflib.get_close_matches(scheme, names, n=1, cutoff=0.5)
    hint = f"; did you mean {names[nearest[0]]}?" if nearest else "."
    return f"Nothing is known of the scheme {scheme + ':'!r} in {shown(text)}; {known}{hint}"
