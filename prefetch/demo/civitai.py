"""A Civitai stand-in: versions and their files, downloads by a signed link, and its habits. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from prefetch.demo.content import Content
from prefetch.demo.messages import Reply, Request, json_reply, text_reply

__all__ = ["Civitai", "CivitaiFile", "CivitaiVersion"]

_WEIGHTS = {"format": 100, "size": 10, "fp": 1}
_PREFERRED = {"format": "SafeTensor", "size": "pruned", "fp": "fp16"}
_BROWSERS = ("mozilla", "chrome", "safari")


@dataclass(frozen=True, slots=True)
class CivitaiFile:
    """One file of a version.

    Attributes:
        type: Model, Pruned Model, VAE and so on.
        metadata: its ``format``, ``size``, ``fp`` and ``quantType``, as far as it has them.
        linked: it is another version's, listed here as a part: it is not found by its id.
    """

    id: int
    name: str
    content: Content
    primary: bool = True
    type: str = "Model"
    metadata: Mapping[str, str] = field(default_factory=lambda: {"format": "SafeTensor"})
    linked: bool = False

    @property
    def query(self) -> str:
        """What stands behind its version's download address."""
        return urlencode({"type": self.type, **self.metadata} if self.linked else {"fileId": self.id})

    def score(self, preferred: Mapping[str, str]) -> int:
        """How well it fits what is preferred: its kind counts most, then its format, size and precision."""
        agreed = sum(w if self.metadata.get(key) == preferred.get(key) else -w for key, w in _WEIGHTS.items())
        return agreed + (1000 if self.type in ("Model", "Pruned Model") else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CivitaiVersion:
    """One version of a model.

    Attributes:
        model: the model it is a version of.
        published: when, as its endpoint tells it.
        login: downloading takes a token.
        early: only ``buyers`` (tokens) may download yet.
        page: answer a download without a token as for a browser, with the login page.
    """

    id: int
    files: Sequence[CivitaiFile]
    model: int = 1
    published: str = "2023-07-29T17:31:43.000Z"
    login: bool = False
    early: bool = False
    page: bool = False
    buyers: frozenset[str] = field(default_factory=frozenset)


class Civitai:
    """Answers requests to Civitai.

    Args:
        endpoint: scheme, host and port of the server it runs on.
        link: makes a signed CDN link from a name and a content.
        tokens: the user's name by token.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        link: Callable[[str, Content], str],
        versions: Iterable[CivitaiVersion] = (),
        tokens: Mapping[str, str] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._link = link
        self._versions = {str(version.id): version for version in versions}
        self._tokens = dict(tokens or {})

    def put(self, version: CivitaiVersion) -> None:
        """Add a version, behind the others."""
        self._versions = {**self._versions, str(version.id): version}

    def __call__(self, request: Request) -> Reply:
        if request.method == "HEAD":
            # It loses the token on the way.
            return json_reply({"error": "Unauthorized"}, status=401)
        match request.segments:
            case ["login"]:
                page = "<!doctype html><html><head><title>Sign in to Civitai</title></head><body></body></html>"
                return text_reply(200, page, content_type="text/html; charset=utf-8")
            case ["api", "v1", "me"]:
                return self._me(request)
            case ["api", "v1", "models", number] if versions := self._of_model(number):
                described = [_described(version, self.endpoint) for version in versions]
                return json_reply({"id": int(number), "name": "m", "modelVersions": described})
            case ["api", "v1", "model-versions", number] if number in self._versions:
                return json_reply(_described(self._versions[number], self.endpoint))
            case ["api", "download", "models", number] if number in self._versions:
                return self._download(request, self._versions[number])
        return json_reply({"error": "Model not found"}, status=404)

    def _of_model(self, number: str) -> list[CivitaiVersion]:
        """Its versions in the order they were given, as their author's order has nothing to do with their age."""
        return [version for version in self._versions.values() if str(version.model) == number]

    def _me(self, request: Request) -> Reply:
        name = self._tokens.get(request.token or "")
        return json_reply({"username": name}) if name else json_reply({"error": "Unauthorized"}, status=401)

    def _download(self, request: Request, version: CivitaiVersion) -> Reply:
        known = request.token in self._tokens
        if (version.login and not known) or (request.token is not None and not known):
            return self._unknown(request, version)
        if version.early and request.token not in version.buyers:
            return json_reply({"error": "Early Access", "message": "This asset is in early access."}, status=403)
        chosen = _chosen(version, {name: values[0] for name, values in request.query.items()})
        if chosen is None:
            return json_reply({"error": "File not found"}, status=404)
        name = f"civitai/{version.id}/{chosen.name}"
        location = self._link(name, chosen.content)
        return text_reply(307, "", Location=location).about(name)

    def _unknown(self, request: Request, version: CivitaiVersion) -> Reply:
        browser = any(word in request.headers.get("user-agent", "").lower() for word in _BROWSERS)
        if browser or version.page:
            return text_reply(307, "", Location="/login?returnUrl=%2Fapi%2Fdownload")
        return json_reply({"error": "Unauthorized", "message": "The creator requires you to be logged in"}, status=401)


def _chosen(version: CivitaiVersion, query: Mapping[str, str]) -> CivitaiFile | None:
    """The file of that id, else the one of that type that fits best, though it may not fit at all."""
    if wanted := query.get("fileId"):
        return next((file for file in version.files if str(file.id) == wanted and not file.linked), None)
    if not query:
        return next((file for file in version.files if file.primary), None)
    fitting = [file for file in version.files if file.type == query.get("type", file.type)]
    return max(fitting, key=lambda file: file.score({**_PREFERRED, **query}), default=None)


def _described(version: CivitaiVersion, endpoint: str) -> dict[str, Any]:
    address = f"{endpoint}/api/download/models/{version.id}"
    files = [
        {
            "id": file.id,
            "name": file.name,
            # Rounded on purpose: nobody may take it for the size.
            "sizeKB": round(file.content.size / 1024, 1),
            "type": file.type,
            "metadata": dict(file.metadata),
            "primary": file.primary,
            "downloadUrl": f"{address}?{file.query}",
            "hashes": {"AutoV2": file.content.sha256[:10].upper(), "SHA256": file.content.sha256.upper()},
        }
        for file in version.files
    ]
    return {
        "id": version.id,
        "modelId": version.model,
        "name": f"v{version.id}",
        "publishedAt": version.published,
        "availability": "EarlyAccess" if version.early else "Public",
        "air": f"urn:air:sdxl:checkpoint:civitai:{version.model}@{version.id}",
        "downloadUrl": address,
        "files": files,
    }
