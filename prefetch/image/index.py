"""The documents of a saved image: which blobs are its layers, and in which order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from prefetch.errors import ContentError, UsageError

__all__ = ["Index"]

_DOCKER, _OCI = "manifest.json", "index.json"
_REMEDY = "Save the image once more."
_DEEPEST = 4
_MOST_LAYERS = 1_000
_MOST_VALUES = 100_000
_MOST_BYTES = 64 << 20
_PLATFORM = ("linux", "amd64")


class Index:
    """The JSON documents of one saved image, as they are met.

    Args:
        path: the archive, for messages.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._documents: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}
        self._left = _MOST_BYTES

    def take(self, name: str, text: bytes) -> None:
        """Keep a document. One that is no JSON, or larger than any, is no document of an image.

        Raises:
            ContentError: the one that all begins with is larger than any.
        """
        if sum(map(text.count, (b",", b"[", b"{"))) > _MOST_VALUES or len(text) > self._left:
            if name in (_DOCKER, _OCI):
                raise ContentError(f"{name} in {self.path} is larger than any image's.", remedy=_REMEDY)
            return
        self._left -= len(text)
        try:
            self._documents[name] = json.loads(text)
        except (ValueError, RecursionError):
            return

    def alias(self, name: str, target: str) -> None:
        """``name`` is another name of the blob ``target``."""
        self._aliases[name] = target

    def layers(self) -> Iterator[tuple[str, str]]:
        """Each layer's blob and the command that made it, the lowest layer first.

        Raises:
            UsageError: the documents are those of no image, or of several.
            ContentError: they contradict themselves or miss a part.
        """
        try:
            config, blobs = self._docker() if _DOCKER in self._documents else self._oci()
            commands = _commands(self._documents.get(config), len(blobs))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ContentError(f"The documents in {self.path} do not describe an image.", remedy=_REMEDY) from error
        if len(blobs) > _MOST_LAYERS:
            raise ContentError(
                f"{self.path} describes an image of more than {_MOST_LAYERS} layers.",
                remedy=_REMEDY,
            )
        for blob, command in zip(blobs, commands, strict=True):
            yield self._aliases.get(blob, blob), command

    def lacks(self, name: str) -> NoReturn:
        """Raise the error for a blob that a document names and that is not there."""
        raise ContentError(f"{self.path} lacks the image's part {name[:100]}.", remedy=_REMEDY)

    def _docker(self) -> tuple[str, list[str]]:
        images = self._documents[_DOCKER]
        if len(images) != 1:
            tags = [tag for image in images for tag in image.get("RepoTags") or ()]
            raise self._not_one([str(tag) for tag in tags])
        return str(images[0]["Config"]), [str(name) for name in images[0]["Layers"]]

    def _oci(self) -> tuple[str, list[str]]:
        if _OCI not in self._documents:
            raise UsageError(
                f"{self.path} is no image archive: it has neither a manifest.json nor an index.json.",
                remedy="Make one with: docker save -o image.tar IMAGE",
            )
        manifest = self._manifest(self._documents[_OCI], depth=0)
        return _blob(manifest["config"]), [_blob(layer) for layer in manifest["layers"]]

    def _manifest(self, document: Any, *, depth: int) -> Any:
        if "manifests" not in document:
            return document
        if depth == _DEEPEST:
            raise KeyError("manifests")
        found = [one for one in document["manifests"] if _runs_somewhere(one)]
        fitting = [one for one in found if _platform(one) in (_PLATFORM, None)]
        chosen = fitting or found
        if len(chosen) != 1:
            names = [(one.get("annotations") or {}).get("org.opencontainers.image.ref.name", "") for one in chosen]
            raise self._not_one([str(name) for name in names if name])
        name = _blob(chosen[0])
        return self._manifest(self._documents[name] if name in self._documents else self.lacks(name), depth=depth + 1)

    def _not_one(self, tags: list[str]) -> UsageError:
        which = f": {', '.join(tags[:8])}" if tags else ""
        return UsageError(
            f"{self.path} does not hold one image but several, or none{which}.",
            remedy="Save one alone: docker save -o image.tar IMAGE",
        )


def _blob(descriptor: Any) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/", 1)


def _platform(descriptor: Any) -> tuple[str, str] | None:
    platform = descriptor.get("platform")
    return None if platform is None else (str(platform.get("os")), str(platform.get("architecture")))


def _runs_somewhere(descriptor: Any) -> bool:
    # BuildKit stores its attestations as images for this platform.
    return _platform(descriptor) != ("unknown", "unknown")


def _commands(config: Any, count: int) -> list[str]:
    history = config.get("history") if isinstance(config, dict) else None
    commands = [str(step.get("created_by", "")) for step in history or () if not step.get("empty_layer")]
    return commands if len(commands) == count else [""] * count
