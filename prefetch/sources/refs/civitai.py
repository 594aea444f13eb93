"""Versions of models on Civitai."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from prefetch.net.urls import SecretURL
from prefetch.sources.refs.shown import shown

__all__ = ["CIVITAI_HOSTS", "CivitaiModelRef", "CivitaiRef", "parse_civitai", "parse_civitai_link"]

CIVITAI_HOSTS = frozenset({"civitai.com", "www.civitai.com"})
_NUMBER = re.compile(r"[0-9]{1,18}")
_MODEL_PAGE = re.compile(r"/models/([0-9]{1,18})(?:/.*)?")
_CIVITAI = re.compile(r"(?i:civitai):([0-9]{1,18})(?:/([0-9]{1,18}))?")


@dataclass(frozen=True, slots=True)
class CivitaiRef:
    """One file of a model's version on Civitai; without ``file``, the version's main one."""

    version: int
    file: int | None = None

    needs_sha256: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What it is called while its file's own name is not known."""
        return str(self)

    def __str__(self) -> str:
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
        raise ValueError(f"{shown(text)} is not a Civitai source; write civitai:VERSION or civitai:VERSION/FILE-ID.")
    return CivitaiRef(int(match[1]), int(match[2]) if match[2] else None)


def parse_civitai_link(url: SecretURL) -> CivitaiRef | CivitaiModelRef:
    """The version or the model that a link to Civitai leads to; ValueError as `parse_civitai`."""
    query = dict(parse_qsl(urlsplit(url.reveal()).query))
    page = _MODEL_PAGE.fullmatch(url.path)
    if page and "modelVersionId" not in query:
        return CivitaiModelRef(int(page[1]))
    download = re.fullmatch(r"/api/download/models/([0-9]{1,18})", url.path)
    version, file = download[1] if download else query.get("modelVersionId", ""), query.get("fileId", "")
    if not _NUMBER.fullmatch(version) or (file and not _NUMBER.fullmatch(file)):
        raise ValueError(
            f"{url} names no model of Civitai; copy the address of a model's page (…/models/NUMBER), of a version's "
            "(…?modelVersionId=NUMBER), or write civitai:VERSION."
        )
    return CivitaiRef(int(version), int(file) if file else None)
