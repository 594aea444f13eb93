"""Directories as sources: a slash at the end, or a link to one on the Hub."""

from __future__ import annotations

import re

from prefetch.sources.refs.hub import HuggingFaceRef, HuggingFolderRef
from prefetch.sources.refs.shown import shown
from prefetch.sources.refs.source import parse_source

__all__ = ["names_folder", "parse_folder"]

_CIVITAI_LINK = re.compile(r"(?i)https://(?:www\.)?civitai\.com/")
_TREE = re.compile(
    r"(?i)(https://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:(?:datasets|spaces)/)?[^/?#]+/[^/?#]+/)tree(?=/)"
)


def names_folder(text: str) -> bool:
    """Whether a source is meant to be a directory: it ends with a slash, or is a link to one on the Hub."""
    return (text.endswith("/") and not _CIVITAI_LINK.match(text)) or bool(_TREE.match(text))


def parse_folder(text: str) -> HuggingFolderRef:
    """The directory that ``text`` names; ``str()`` of the answer is its canonical form and parses to the same.

    Raises:
        ValueError: one sentence that says what is wrong with it and what to write; never with a credential in it.
    """
    form = "write hf://[datasets/|spaces/]owner/repo[@revision]/path/ with a slash at its end"
    if not names_folder(text):
        raise ValueError(f"{shown(text)} names no directory; {form}, or give the path a file's name.")
    try:
        # A file in it passes the same checks, and a link to a directory differs from one to a file by a word.
        file = parse_source(_TREE.sub(r"\1resolve", text).rstrip("/") + "/x")
    except ValueError as error:
        raise ValueError(str(error).replace("/x'", "/'")) from None
    if not isinstance(file, HuggingFaceRef):
        raise ValueError(f"{shown(text)} is a directory, which only the Hub lists; {form}, or name one file.")
    return HuggingFolderRef(file.repo, file.path.rpartition("/")[0], file.revision, file.kind)
