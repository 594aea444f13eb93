"""Directories as sources: a slash at the end, or a link to one on the Hub."""

from __future__ import annotations

import re

from prefetch.net.urls import SecretURL
from prefetch.sources.refs.civitai import CIVITAI_SITES
from prefetch.sources.refs.http import names_directory, parse_address
from prefetch.sources.refs.hub import (
    HUB_SITES,
    HuggingFolderRef,
    is_hub_folder_link,
    parse_hf_folder,
    parse_hub_folder_link,
)
from prefetch.sources.refs.shown import holds_control, shown

__all__ = ["folder_meant", "names_folder", "parse_folder"]

_PAGE = re.compile(
    r"(?i)https://(?:www\.)?(?:huggingface\.co|hf\.co)/((?:(?:datasets|spaces)/)?[^/?#]+/[^/?#]+)/?(?:tree/main/?)?$"
)


def names_folder(text: str) -> bool:
    """Whether a source is meant to be a directory: it ends with a slash, or is a link to one on the Hub."""
    if text[:7].lower() not in ("https:/", "http://"):
        return text.endswith("/")
    try:
        url = SecretURL(text)
    except ValueError:
        return False
    return is_hub_folder_link(url) or (names_directory(url) and url.site not in CIVITAI_SITES)


def parse_folder(text: str) -> HuggingFolderRef:
    """The directory that ``text`` names; ``str()`` of the answer is its canonical form and parses to the same.

    Raises:
        ValueError: one sentence that says what is wrong with it and what to write; never with a credential in it.
    """
    form = "write hf://[datasets/|spaces/]owner/repo[@revision]/path/ with a slash at its end"
    if not names_folder(text):
        raise ValueError(f"{shown(text)} names no directory; {form}, or give the path a file's name.")
    if holds_control(text):
        raise ValueError("The source holds a control character; write it on one line without any.")
    scheme = text.partition(":")[0].lower()
    if scheme == "hf":
        return parse_hf_folder(text)
    if scheme in ("https", "http") and (url := parse_address(text)).site in HUB_SITES:
        return parse_hub_folder_link(text, url)
    raise ValueError(f"{shown(text)} is a directory, which only the Hub lists; {form}, or name one file.")


def folder_meant(text: str) -> str | None:
    """The directory that was meant by a repository's name or page without a slash at its end; None if none was."""
    page = _PAGE.match(text)
    try:
        return str(parse_folder(f"hf://{page[1]}/" if page else f"{text}/"))
    except ValueError:
        return None
