"""Which manifests a command is about: those it was given, else the environment's, else those in the usual places.

Standard library only: the container's entrypoint comes through here before every start.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prefetch.errors import UsageError

__all__ = ["INLINE", "LONGEST_INLINE", "MODELS", "SYSTEM_MANIFEST", "URL", "Given", "Remote", "Written", "find_given"]

URL, INLINE, MODELS = "PREFETCH_MANIFEST_URL", "PREFETCH_MANIFEST_INLINE", "PREFETCH_MODELS"
SYSTEM_MANIFEST = Path("/etc/prefetch/manifest.yaml")

LONGEST_INLINE = 32 << 10
_LARGEST = 16 << 20
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MODEL = re.compile(r"(?P<source>\S.*?)\s*->\s*(?P<path>\S.*?)(?:\s+sha256=(?P<sha256>\S+))?", re.DOTALL)
_MODELS_FORM = f"Write {MODELS} as in: hf://owner/repo/x.safetensors -> models/vae/; civitai:7 -> models/loras/y.pt"
_INLINE_FORM = f"Make {INLINE} by: gzip -c manifest.json | base64 -w0"


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest that stands in no file here.

    Attributes:
        name: what sentences call it: the variable, or the address without its secrets.
        data: its text, JSON or YAML.
        lock: the text of the lock beside it, where there is one.
        fetched: whether others wrote it, so that it may name nothing of this machine.
        address: the digest of where it was fetched from, if another text may be there tomorrow; see `Remote.digest`.
    """

    name: str
    data: bytes = field(repr=False)
    lock: bytes | None = field(default=None, repr=False)
    fetched: bool = False
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A manifest that has to be fetched; ``sha256``, where given, is what it must have."""

    address: str = field(repr=False)
    sha256: str | None = None

    @property
    def digest(self) -> str:
        """64 hex digits that stand for the address, which may hold a secret."""
        return hashlib.sha256(self.address.encode()).hexdigest()


Given = Path | Written | Remote


def find_given(paths: Sequence[Path], environ: Mapping[str, str], root: Path | None) -> tuple[Given, ...]:
    """The manifests of a command.

    The first of these that there is: ``paths``, ``PREFETCH_MANIFEST_URL``, ``PREFETCH_MANIFEST_INLINE``; then, where
    ``PREFETCH_MODELS`` is not set either, ``prefetch.yaml`` below the volume's ``root`` (None: there is no volume) and
    `SYSTEM_MANIFEST`. The models of ``PREFETCH_MODELS`` come in addition.

    Raises:
        UsageError: a variable holds nothing that could be meant.
    """
    models = _models(environ.get(MODELS, ""))
    if paths:
        return (*paths, *models)
    if url := environ.get(URL, "").strip():
        return (_remote(url), *models)
    if text := environ.get(INLINE, "").strip():
        return (_inline(text), *models)
    if models:
        return models
    places = (*(() if root is None else (root / "prefetch.yaml",)), SYSTEM_MANIFEST)
    return next(((place,) for place in places if place.is_file()), ())


def _remote(text: str) -> Remote:
    address, mark, sha256 = text.partition("#sha256=")
    if mark and not _SHA256.fullmatch(sha256):
        raise UsageError(
            f"What stands behind #sha256= in {URL} is no hash.", remedy="Write 64 hexadecimal digits, or leave it out."
        )
    return Remote(address, sha256.lower() or None)


def _models(text: str) -> tuple[Written, ...]:
    items = [item.strip() for item in re.split(r"[;\n]", text) if item.strip()]
    if not items:
        return ()
    # One a line, so that a sentence about line 2 is about the second model.
    entries = ",\n".join(json.dumps(_model(item, number)) for number, item in enumerate(items, start=1))
    return (Written(MODELS, f'{{"version": 1, "models": [{entries}]}}'.encode()),)


def _model(item: str, number: int) -> dict[str, str]:
    match = _MODEL.fullmatch(item)
    if match is None:
        raise UsageError(f"Model {number} of {MODELS} is not SOURCE -> PATH.", remedy=_MODELS_FORM)
    return {name: value for name, value in match.groupdict().items() if value is not None}


def _inline(text: str) -> Written:
    if len(text) > LONGEST_INLINE:
        raise UsageError(
            f"{INLINE} is longer than {LONGEST_INLINE >> 10} KiB.", remedy=f"Put the manifest at an address: {URL}."
        )
    return Written(INLINE, _unpacked(text))


def _unpacked(text: str) -> bytes:
    import binascii
    import zlib

    try:
        packed = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
        unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        data = unpacker.decompress(packed, _LARGEST + 1)
    except (ValueError, zlib.error):
        raise UsageError(f"{INLINE} is not gzip in base64.", remedy=_INLINE_FORM) from None
    if not unpacker.eof and len(data) <= _LARGEST:
        raise UsageError(f"{INLINE} is cut: its gzip has no end.", remedy=_INLINE_FORM)
    return data
