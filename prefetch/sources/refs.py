"""What a manifest's `source` names, as types. Pure: text in, a reference or a sentence out."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import ClassVar, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from prefetch.net.urls import SecretURL, is_loopback_host, redact

__all__ = [
    "CivitaiModelRef",
    "CivitaiRef",
    "FileRef",
    "HttpRef",
    "HuggingFaceRef",
    "HuggingFolderRef",
    "RepoKind",
    "SourceRef",
    "names_folder",
    "parse_folder",
    "parse_source",
    "pinned_to",
]

RepoKind = Literal["model", "dataset", "space"]

_KINDS: dict[str, RepoKind] = {"datasets": "dataset", "spaces": "space"}
_PREFIXES: dict[RepoKind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}
_HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_CIVITAI_HOSTS = frozenset({"civitai.com", "www.civitai.com"})
_FILE_VIEWS = frozenset({"resolve", "blob", "raw"})
_SCHEMES = ("hf://", "https://", "http://", "file://")
_NAME = re.compile(r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}")
_CIVITAI_LINK = re.compile(r"(?i)https://(?:www\.)?civitai\.com/")
_MODEL_PAGE = re.compile(r"/models/([0-9]{1,18})(?:/.*)?")
_CIVITAI = re.compile(r"(?i:civitai):([0-9]{1,18})(?:/([0-9]{1,18}))?")
_TREE = re.compile(
    r"(?i)(https://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:(?:datasets|spaces)/)?[^/?#]+/[^/?#]+/)tree(?=/)"
)
_FILE = re.compile(r"(?i:file://(?:localhost)?)(/.*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_CREDENTIALS = frozenset({"token", "access_token", "api_key", "apikey", "auth", "authorization", "password"})


@dataclass(frozen=True, slots=True)
class HuggingFaceRef:
    """One file in a repository on the Hugging Face Hub. ``revision`` and ``path`` are decoded."""

    repo: str
    path: str
    revision: str = "main"
    kind: RepoKind = "model"

    needs_sha256: ClassVar[bool] = False

    @property
    def repo_path(self) -> str:
        """The repository as it stands in addresses: ``owner/name``, ``datasets/owner/name``, ``spaces/owner/name``."""
        return _PREFIXES[self.kind] + self.repo

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        revision = "" if self.revision == "main" else "@" + quote(self.revision, safe="")
        return f"hf://{self.repo_path}{revision}/{self.path}"


@dataclass(frozen=True, slots=True)
class HuggingFolderRef:
    """One directory in a repository on the Hub, with all below it; ``path`` is empty for the whole repository."""

    repo: str
    path: str
    revision: str = "main"
    kind: RepoKind = "model"

    @property
    def repo_path(self) -> str:
        """The repository as it stands in addresses."""
        return _PREFIXES[self.kind] + self.repo

    @property
    def prefix(self) -> str:
        """What the path of every file below it begins with."""
        return f"{self.path}/" if self.path else ""

    def file(self, name: str) -> HuggingFaceRef:
        """The file at ``name`` below it."""
        return HuggingFaceRef(self.repo, self.prefix + name, self.revision, self.kind)

    def __str__(self) -> str:
        return str(self.file("x"))[:-1]


@dataclass(frozen=True, slots=True)
class HttpRef:
    """One file at an address."""

    url: SecretURL

    @property
    def needs_sha256(self) -> bool:
        """Whether the file is only acceptable with a known hash: it travels unencrypted through a network."""
        return self.url.scheme == "http" and not is_loopback_host(self.url.host)

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(unquote(self.url.path)).name or self.url.host

    def __str__(self) -> str:
        return self.url.reveal()


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file on this machine; ``path`` is absolute."""

    path: str

    needs_sha256: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        return "file://" + quote(self.path, errors="surrogateescape")


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


SourceRef = HuggingFaceRef | CivitaiRef | CivitaiModelRef | HttpRef | FileRef


def parse_source(text: str) -> SourceRef:
    """What ``text`` names; ``str()`` of the answer is its canonical form and parses to the same.

    Raises:
        ValueError: one sentence that says what is wrong with it and what to write; never with a credential in it.
    """
    if _CONTROL.search(text):
        raise ValueError("The source holds a control character; write it on one line without any.")
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    match scheme:
        case "hf":
            return _parse_hf(text)
        case "https" | "http":
            return _parse_http(text)
        case "file":
            return _parse_file(text)
        case "civitai":
            return _parse_civitai(text)
    raise ValueError(_unknown_scheme(text))


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
        raise ValueError(f"{_shown(text)} names no directory; {form}, or give the path a file's name.")
    try:
        # A file in it passes the same checks, and a link to a directory differs from one to a file by a word.
        file = parse_source(_TREE.sub(r"\1resolve", text).rstrip("/") + "/x")
    except ValueError as error:
        raise ValueError(str(error).replace("/x'", "/'")) from None
    if not isinstance(file, HuggingFaceRef):
        raise ValueError(f"{_shown(text)} is a directory, which only the Hub lists; {form}, or name one file.")
    return HuggingFolderRef(file.repo, file.path.rpartition("/")[0], file.revision, file.kind)


def pinned_to(ref: SourceRef, commit: str | None) -> SourceRef:
    """The same file at ``commit``, where its host has commits and one is given."""
    return replace(ref, revision=commit) if commit is not None and isinstance(ref, HuggingFaceRef) else ref


def _parse_hf(text: str) -> HuggingFaceRef:
    form = "write hf://[datasets/|spaces/]owner/repo[@revision]/path/to/file"
    if not text[:5].lower() == "hf://":
        raise ValueError(f"{_shown(text)} is not a Hugging Face source; {form}.")
    segments = text[5:].split("/")
    kind = _KINDS.get(segments[0])
    owner, repo, *path = segments[1:] if kind else [*segments, ""]
    if not kind:
        path = path[:-1]
    repo, at, revision = repo.partition("@")
    if not path:
        raise ValueError(f"{_shown(text)} names no file; {form}.")
    if at and not revision:
        raise ValueError(f"{_shown(text)} has an empty revision after the @; {form}.")
    return _hub_file(text, kind or "model", f"{owner}/{repo}", unquote(revision) or "main", path)


def _hub_file(text: str, kind: RepoKind, repo: str, revision: str, path: list[str]) -> HuggingFaceRef:
    if path[-1] == "":
        raise ValueError(f"{_shown(text)} is a directory; end the path with a slash too, or name one file.")
    if not all(_is_repo_name(name) for name in repo.split("/")):
        raise ValueError(f"{_shown(text)} has no valid repository {repo!r}; it must be owner/name.")
    if {"", ".", ".."} & set(path):
        raise ValueError(f"{_shown(text)} has an empty, '.' or '..' part in its path; write the plain path.")
    if _CONTROL.search(revision + "".join(path)):
        raise ValueError(f"{_shown(text)} holds an encoded control character; write it without any.")
    return HuggingFaceRef(repo, "/".join(path), revision, kind)


def _is_repo_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and "--" not in name and ".." not in name and not name.endswith(".git")


def _parse_http(text: str) -> SourceRef:
    try:
        url = SecretURL(text)
    except ValueError as error:
        raise ValueError(f"{_shown(text)} is {error}; write https://host/path/to/file.") from None
    if url.has_userinfo or _CREDENTIALS & {key.lower() for key, _ in parse_qsl(urlsplit(url.reveal()).query)}:
        raise ValueError(f"{url} carries a credential; take it out of the manifest and put it in the environment.")
    if url.host in _HUB_HOSTS:
        return _parse_hub_link(text, url)
    if url.host in _CIVITAI_HOSTS:
        return _parse_civitai_link(url)
    if url.path.endswith("/") or not url.path:
        raise ValueError(f"{url} is a directory; name one file.")
    return HttpRef(url)


def _parse_hub_link(text: str, url: SecretURL) -> HuggingFaceRef:
    segments = url.path.lstrip("/").split("/")
    kind = _KINDS.get(segments[0])
    owner, repo, view, revision, *path = (*(segments[1:] if kind else segments), *[""] * 4)
    path = path[:-4]
    if view not in _FILE_VIEWS or not path:
        raise ValueError(
            f"{url} is not a link to one file of a repository; copy the file's own download link "
            "(…/resolve/REVISION/PATH) or write hf://owner/repo/path."
        )
    decoded = unquote("/".join(path)).split("/")
    return _hub_file(text, kind or "model", f"{owner}/{repo}", unquote(revision), decoded)


def _parse_civitai(text: str) -> CivitaiRef:
    match = _CIVITAI.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is not a Civitai source; write civitai:VERSION or civitai:VERSION/FILE-ID.")
    return CivitaiRef(int(match[1]), int(match[2]) if match[2] else None)


def _parse_civitai_link(url: SecretURL) -> CivitaiRef | CivitaiModelRef:
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


def _parse_file(text: str) -> FileRef:
    match = _FILE.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is not an absolute file address; write file:///absolute/path.")
    path = unquote(match[1], errors="surrogateescape")
    if "?" in match[1] or "#" in match[1]:
        raise ValueError(f"{_shown(text)} holds a bare ? or #; write them %3F and %23.")
    if path.endswith("/"):
        raise ValueError(f"{_shown(text)} is a directory; name one file.")
    if _CONTROL.search(path):
        raise ValueError(f"{_shown(text)} holds an encoded control character; write it without any.")
    return FileRef(path)


def _unknown_scheme(text: str) -> str:
    known = "known are " + ", ".join(_SCHEMES)
    if _DRIVE.match(text):
        return f"{_shown(text)} is a path on Windows; a file on this machine is file:///absolute/path."
    match = re.match(r"([A-Za-z][\w+.-]*):", text)
    if match is None:
        return f"{_shown(text)} has no scheme; {known}. A file on the Hub is hf://owner/repo/path."
    scheme = match[1].lower()
    nearest = difflib.get_close_matches(scheme, [known.removesuffix("://") for known in _SCHEMES], n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}://?" if nearest else "."
    return f"Nothing is known of the scheme {scheme + ':'!r} in {_shown(text)}; {known}{hint}"


def _shown(text: str) -> str:
    short = redact(text)
    return repr(short if len(short) <= 120 else short[:119] + "…")
