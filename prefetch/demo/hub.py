"""The Hub's own half of the protocol: resolve, the API, who may read what, and errors by their codes. No I/O."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import parse_qs, quote

from prefetch.demo.content import BytesFile, Content
from prefetch.demo.messages import Reply, Request, json_reply, send_content, text_reply
from prefetch.demo.repo import Files, Repo, RepoKind, Snapshot, is_lfs, oid

__all__ = ["Hub"]

_KINDS: dict[str, RepoKind] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_TRUE = ("true", "True", "1")


class _Refused(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Hub:
    """Answers requests to the Hub.

    Args:
        endpoint: scheme, host and port of the server it runs on.
        link: makes a signed CDN link from ``owner/name/path`` and a content.
        files: plain files by name, served at ``/files/NAME`` with an ETag.
        tokens: the user's name by token; any other token is invalid.
        page_size: entries of a tree listing on one page.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        link: Callable[[str, Content], str],
        repos: Iterable[Repo] = (),
        files: Files | None = None,
        tokens: Mapping[str, str] | None = None,
        page_size: int = 1000,
    ) -> None:
        self.endpoint = endpoint
        self.files = dict(files or {})
        self.guarded: dict[str, tuple[str, str]] = {}
        self._link = link
        self._tokens = dict(tokens or {})
        self._page_size = page_size
        self._numbers = itertools.count(1)
        self._repos: dict[tuple[RepoKind, str], Repo] = {}
        self._moved: dict[tuple[RepoKind, str], str] = {}
        self._snapshots: dict[tuple[RepoKind, str, str], Snapshot] = {}
        for repo in repos:
            self.put(repo)

    def put(self, repo: Repo) -> dict[str, str]:
        """Add a repository, or move its branches; old commits stay readable. The commit of each named revision."""
        snapshots = repo.snapshots()
        for name, snapshot in snapshots.items():
            self._snapshots[repo.kind, repo.id, name] = snapshot
            self._snapshots[repo.kind, repo.id, snapshot.commit] = snapshot
        self._repos[repo.kind, repo.id] = repo
        self._moved |= {(repo.kind, name): repo.id for name in repo.formerly}
        return {name: snapshot.commit for name, snapshot in snapshots.items()}

    def __call__(self, request: Request) -> Reply:
        try:
            reply = self._route(request)
        except _Refused as refused:
            reply = refused.reply
        every = {"X-Request-Id": f"demo-{next(self._numbers)}", "RateLimit": '"resolvers";r=4999;t=300'}
        return replace(reply, headers={**every, **reply.headers})

    def _route(self, request: Request) -> Reply:
        match request.segments:
            case ["files", name]:
                return self._plain(request, name)
            case ["api", "whoami-v2"]:
                return self._whoami(request)
            case ["api", ("models" | "datasets" | "spaces") as kind, name, *_] if (_KINDS[kind], name) in self._moved:
                self._find(request, _KINDS[kind], name)
            case [name, "resolve", *_] if ("model", name) in self._moved:
                self._find(request, "model", name)
            case ["api", ("models" | "datasets" | "spaces") as kind, owner, name, *rest]:
                return self._api(request, _KINDS[kind], f"{owner}/{name}", rest)
            case [("datasets" | "spaces") as kind, owner, name, "resolve", revision, *path]:
                return self._resolve(request, _KINDS[kind], f"{owner}/{name}", revision, "/".join(path))
            case [owner, name, "resolve", revision, *path]:
                return self._resolve(request, "model", f"{owner}/{name}", revision, "/".join(path))
            case [_, _, "blob", *_] | [_, _, _, "blob", *_]:
                page = "<!doctype html><html><head><title>File viewer</title></head><body></body></html>"
                return text_reply(200, page, content_type="text/html; charset=utf-8")
        return _error(404, "Sorry, we can't find the page you are looking for.")

    def _plain(self, request: Request, name: str) -> Reply:
        content = self.files.get(name)
        if content is None:
            return text_reply(404, "Not Found")
        header, value = self.guarded.get(name, ("", ""))
        if request.headers.get(header.lower(), "") != value:
            return json_reply({"error": f"no access with {request.headers.get(header.lower(), 'nothing')}"}, status=401)
        etag = f'"{content.git_sha1}"'
        if request.headers.get("if-none-match") == etag:
            return Reply(status=304, headers={"ETag": etag}, content=BytesFile(b""), file=name)
        return send_content(request, content, file=name, headers={"ETag": etag})

    def _whoami(self, request: Request) -> Reply:
        self._check_token(request)
        if request.token is None:
            return _error(401, "Invalid username or password.")
        access = {"type": "access_token", "accessToken": {"displayName": "demo", "role": "read"}}
        name = self._tokens[request.token]
        return json_reply({"type": "user", "id": "0" * 24, "name": name, "fullname": name, "auth": access, "orgs": []})

    def _api(self, request: Request, kind: RepoKind, repo_id: str, rest: list[str]) -> Reply:
        repo = self._find(request, kind, repo_id)
        match rest:
            case [] | ["revision", _]:
                return self._info(request, repo, self._snapshot(repo, rest[1] if rest else "main"))
            case ["tree", revision, *path]:
                return self._tree(request, self._snapshot(repo, revision), "/".join(path).strip("/"))
            case ["paths-info", revision] if request.method == "POST":
                return _paths_info(request, self._snapshot(repo, revision))
        return _error(404, "Not Found")

    def _info(self, request: Request, repo: Repo, snapshot: Snapshot) -> Reply:
        document = {
            "id": repo.id,
            "author": repo.id.partition("/")[0],
            "sha": snapshot.commit,
            "private": repo.private,
            "gated": "auto" if repo.gated else False,
            "disabled": repo.disabled,
            "tags": [],
            "siblings": snapshot.siblings(blobs=_flag(request.query, "blobs")),
        }
        return json_reply(document)

    def _tree(self, request: Request, snapshot: Snapshot, folder: str) -> Reply:
        query = request.query
        recursive, expand = _flag(query, "recursive"), _flag(query, "expand")
        entries = snapshot.tree(folder, recursive=recursive, expand=expand)
        if entries is None:
            return _entry_not_found(snapshot)
        start = int(query.get("cursor", ["0"])[0])
        stop = start + min(int(query.get("limit", [str(self._page_size)])[0]), self._page_size)
        if stop >= len(entries):
            return json_reply(entries[start:])
        path = request.target.partition("?")[0]
        page = f"recursive={str(recursive).lower()}&expand={str(expand).lower()}&limit={stop - start}&cursor={stop}"
        return json_reply(entries[start:stop], Link=f'<{self.endpoint}{path}?{page}>; rel="next"')

    def _resolve(self, request: Request, kind: RepoKind, repo_id: str, revision: str, path: str) -> Reply:
        repo = self._find(request, kind, repo_id)
        _check_gate(request, repo)
        snapshot = self._snapshot(repo, revision)
        content = snapshot.files.get(path)
        if content is None:
            return _entry_not_found(snapshot)
        file = f"{repo.id}/{path}"
        headers = {"X-Repo-Commit": snapshot.commit, "ETag": f'"{oid(path, content)}"'}
        if not is_lfs(path, content):
            return send_content(
                request, content, file=file, headers={"Content-Type": "text/plain; charset=utf-8", **headers}
            )
        location = self._link(file, content)
        headers |= {"Location": location, "Accept-Ranges": "bytes"}
        headers |= {"X-Linked-Size": str(content.size), "X-Linked-Etag": f'"{content.sha256}"'}
        if repo.xet:
            headers |= self._xet(repo, snapshot, content)
        reply = text_reply(302, f"Found. Redirecting to {location}").about(file)
        return replace(reply, headers={**reply.headers, **headers})

    def _xet(self, repo: Repo, snapshot: Snapshot, content: Content) -> dict[str, str]:
        """Where the Xet storage is said to be; there is none, so a client that insists on it fails."""
        # Not the file's SHA-256, and it must not be taken for it.
        name = content.sha256[::-1]
        token = f"{self.endpoint}/api/models/{repo.id}/xet-read-token/{snapshot.commit}"
        link = f'<{token}>; rel="xet-auth", <{self.endpoint}/reconstructions/{name}>; rel="xet-reconstruction-info"'
        return {"X-Xet-Hash": name, "Link": link}

    def _find(self, request: Request, kind: RepoKind, repo_id: str) -> Repo:
        """The repository, if the request may know of it."""
        self._check_token(request)
        moved = self._moved.get((kind, repo_id))
        if moved is not None:
            location = request.target.replace(quote(repo_id), quote(moved), 1)
            raise _Refused(text_reply(307, f"Temporary Redirect. Redirecting to {location}", Location=location))
        repo = self._repos.get((kind, repo_id))
        if repo is None or (repo.private and request.token not in repo.readers):
            status, message = (
                (401, "Invalid username or password.") if request.token is None else (404, "Repository not found")
            )
            _refuse(status, message, X_Error_Code="RepoNotFound")
        if repo.disabled:
            _refuse(403, "Access to this resource is disabled.")
        return repo

    def _check_token(self, request: Request) -> None:
        if "authorization" in request.headers and request.token not in self._tokens:
            _refuse(401, "Invalid credentials in Authorization header")

    def _snapshot(self, repo: Repo, revision: str) -> Snapshot:
        snapshot = self._snapshots.get((repo.kind, repo.id, revision))
        if snapshot is None:
            _refuse(404, f"Invalid rev id: {revision}", X_Error_Code="RevisionNotFound")
        return snapshot


def _check_gate(request: Request, repo: Repo) -> None:
    if not repo.gated or request.token in repo.readers:
        return
    restricted = f"Access to {repo.kind} {repo.id} is restricted"
    if request.token is None:
        advice = "You must have access to it and be authenticated to access it. Please log in."
        _refuse(401, f"{restricted}. {advice}", X_Error_Code="GatedRepo")
    _refuse(403, f"{restricted} and you are not in the authorized list.", X_Error_Code="GatedRepo")


def _paths_info(request: Request, snapshot: Snapshot) -> Reply:
    form: Mapping[str, Any]
    if request.headers.get("content-type", "").startswith("application/json"):
        form = json.loads(request.body)
        return json_reply(snapshot.paths_info(form.get("paths", []), expand=bool(form.get("expand"))))
    form = parse_qs(request.body.decode())
    return json_reply(snapshot.paths_info(form.get("paths", []), expand=_flag(form, "expand")))


def _flag(query: Mapping[str, list[str]], name: str) -> bool:
    return query.get(name, ["false"])[0] in _TRUE


def _entry_not_found(snapshot: Snapshot) -> Reply:
    return _error(404, "Entry not found", X_Error_Code="EntryNotFound", X_Repo_Commit=snapshot.commit)


def _error(status: int, message: str, **headers: str) -> Reply:
    return json_reply({"error": message}, status=status, X_Error_Message=message, **headers)


def _refuse(status: int, message: str, **headers: str) -> NoReturn:
    raise _Refused(_error(status, message, **headers))
