"""Versions of models on Civitai, and their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from prefetch.net.urls import SecretURL
from prefetch.sources.refs.query import parameters
from prefetch.sources.refs.shown import shown

__all__ = [
    "CIVITAI_SITES",
    "TRAITS",
    "CivitaiModelRef",
    "CivitaiRef",
    "parse_air",
    "parse_civitai",
    "parse_civitai_link",
]

CIVITAI_SITES = frozenset(f"{www}civitai.{end}" for www in ("", "www.") for end in ("com", "red", "green"))
"""One service under several names: the same models, the same API, the same keys."""

TRAITS = ("type", "format", "size", "fp", "quantType")
"""The parameters by which a download link chooses among the files of a version, beside ``fileId``."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_PAGE = re.compile(r"/models/([0-9]{1,18})(?:/.*)?")
_DOWNLOAD = re.compile(r"/api/download/models/([0-9]{1,18})/?")
_CIVITAI = re.compile(r"(?i:civitai):([0-9]{1,18})(?:/([0-9]{1,18}))?")
_AIR = re.compile(
    r"(?i:urn:air):(?:[\w.-]+:){0,2}(?P<host>[\w.-]+):(?P<model>[^:@+.]+)(?:@(?P<version>[^:@+.]+))?"
    r"(?::(?P<layer>[^:@+.]+))?(?:\+(?P<file>[^:@+.]+))?(?:\.(?P<format>\w+))?"
)
_FORMATS = {
    "ckpt": "PickleTensor",
    "coreml": "Core ML",
    "diffuser": "Diffusers",
    "diffusers": "Diffusers",
    "gguf": "GGUF",
    "onnx": "ONNX",
    "pickletensor": "PickleTensor",
    "safetensor": "SafeTensor",
    "safetensors": "SafeTensor",
}
"""What an identifier calls a format, in Civitai's own words."""

_ONE_FILE = "write civitai:VERSION or civitai:VERSION/FILE-ID"


@dataclass(frozen=True, slots=True)
class CivitaiRef:
    """One file of a model's version on Civitai; without ``file`` and ``traits``, the version's main one.

    Attributes:
        traits: what the file has to be, by the names in `TRAITS` and in their order.
    """

    version: int
    file: int | None = None
    traits: tuple[tuple[str, str], ...] = ()

    needs_sha256: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What it is called while its file's own name is not known."""
        return str(self)

    def __str__(self) -> str:
        if self.traits:
            file = () if self.file is None else (("fileId", str(self.file)),)
            return f"https://civitai.com/api/download/models/{self.version}?{urlencode((*file, *self.traits))}"
        return f"civitai:{self.version}" + ("" if self.file is None else f"/{self.file}")


@dataclass(frozen=True, slots=True)
class CivitaiModelRef:
    """A model on Civitai: the version of it that was published last, or the one that holds a known hash."""

    model: int

    needs_sha256: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What it is called while its file's own name is not known."""
        return str(self)

    def __str__(self) -> str:
        return f"https://civitai.com/models/{self.model}"


def parse_civitai(text: str) -> CivitaiRef:
    """The file that a ``civitai:`` source names; ValueError says what is wrong with it and what to write."""
    match = _CIVITAI.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a Civitai source; {_ONE_FILE}.")
    return CivitaiRef(int(match[1]), int(match[2]) if match[2] else None)


def parse_civitai_link(url: SecretURL) -> CivitaiRef | CivitaiModelRef:
    """The version or the model that a link to Civitai leads to; ValueError as `parse_civitai`.

    A page's title and, beside a version's number, the number of its model say nothing more.
    """
    download, page = _DOWNLOAD.fullmatch(url.path), _PAGE.fullmatch(url.path)
    if download is not None:
        query = parameters(url, _names("fileId", *TRAITS), remedy=f"take it out, or {_ONE_FILE}")
        return _file_of(url, download[1], query)
    if page is None:
        raise ValueError(
            f"{url} names no model of Civitai; copy the address of a model's page (…/models/NUMBER), of a version's "
            "(…?modelVersionId=NUMBER), or write civitai:VERSION."
        )
    query = parameters(url, _names("modelVersionId", "fileId"), remedy=f"take it out, or {_ONE_FILE}")
    version = query.pop("modelVersionId", None)
    if version is not None:
        return _file_of(url, version, query)
    if query:
        raise ValueError(f"{url} names a file and no version; {_ONE_FILE}.")
    return CivitaiModelRef(int(page[1]))


def parse_air(text: str) -> CivitaiRef | CivitaiModelRef:
    """What an AI resource identifier names; ValueError as `parse_civitai`.

    Its ecosystem and its type tell people what the numbers say as well.
    """
    match = _AIR.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{shown(text)} is not an AI resource identifier; write urn:air:ECOSYSTEM:TYPE:civitai:MODEL@VERSION."
        )
    if match["host"].lower() != "civitai":
        raise ValueError(
            f"{shown(text)} names nothing on Civitai; name the file itself, as in hf://owner/repo/path for the Hub."
        )
    numbers = (match["model"], match["version"], match["file"])
    if match["layer"] or not all(_NUMBER.fullmatch(number) for number in numbers if number is not None):
        raise ValueError(f"{shown(text)} has a part that names no file on Civitai; {_ONE_FILE}.")
    if match["version"] is None:
        if match["file"] or match["format"]:
            raise ValueError(f"{shown(text)} names a file and no version; {_ONE_FILE}.")
        return CivitaiModelRef(int(match["model"]))
    file = int(match["file"]) if match["file"] else None
    return CivitaiRef(int(match["version"]), file, _format_of(text, match["format"]))


def _format_of(text: str, name: str | None) -> tuple[tuple[str, str], ...]:
    if name is None:
        return ()
    if name.lower() not in _FORMATS:
        raise ValueError(f"{shown(text)} has the format {name[:40]!r}, which is not known; {_ONE_FILE}.")
    return (("format", _FORMATS[name.lower()]),)


def _file_of(url: SecretURL, version: str, query: Mapping[str, str]) -> CivitaiRef:
    file = query.get("fileId")
    if not _NUMBER.fullmatch(version) or (file is not None and not _NUMBER.fullmatch(file)):
        raise ValueError(f"{url} has a word where a number belongs; {_ONE_FILE}.")
    traits = tuple((name, query[name]) for name in TRAITS if name in query)
    return CivitaiRef(int(version), int(file) if file else None, traits)


def _names(*names: str) -> dict[str, str]:
    return {name.lower(): name for name in names}
