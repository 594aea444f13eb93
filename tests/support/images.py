"""Container images made by hand: layers as tar archives, saved in each of the forms that image tools write."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LayerMaker", "docker_archive", "oci_archive", "oci_layout"]


@dataclass
class LayerMaker:
    """One layer, entry by entry; every call gives the layer itself."""

    made_by: str = "COPY"
    _members: list[tuple[tarfile.TarInfo, bytes]] = field(default_factory=list)

    def file(self, path: str, content: bytes) -> LayerMaker:
        info = tarfile.TarInfo(path)
        info.size = len(content)
        return self._add(info, content)

    def link(self, path: str, target: str, kind: bytes = tarfile.LNKTYPE) -> LayerMaker:
        info = tarfile.TarInfo(path)
        info.type, info.linkname = kind, target
        return self._add(info)

    def symlink(self, path: str, target: str) -> LayerMaker:
        return self.link(path, target, tarfile.SYMTYPE)

    def directory(self, path: str) -> LayerMaker:
        info = tarfile.TarInfo(path)
        info.type = tarfile.DIRTYPE
        return self._add(info)

    def delete(self, path: str) -> LayerMaker:
        folder, _, name = path.rpartition("/")
        return self.file(f"{folder}/.wh.{name}" if folder else f".wh.{name}", b"")

    def empty(self, folder: str) -> LayerMaker:
        return self.file(f"{folder}/.wh..wh..opq", b"")

    def tar(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for info, content in self._members:
                archive.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    def _add(self, info: tarfile.TarInfo, content: bytes = b"") -> LayerMaker:
        self._members.append((info, content))
        return self


def docker_archive(path: Path, layers: Sequence[LayerMaker], *, tags: Sequence[str] = ("fat:latest",)) -> Path:
    """As ``docker save`` wrote it before it wrote OCI layouts: manifest.json comes last."""
    names = [f"{hashlib.sha256(layer.tar() + bytes([i])).hexdigest()}/layer.tar" for i, layer in enumerate(layers)]
    config = hashlib.sha256(b"config").hexdigest() + ".json"
    manifest = [{"Config": config, "RepoTags": list(tags), "Layers": names}]
    files = [(name, layer.tar()) for name, layer in zip(names, layers, strict=True)]
    return _tar(path, [*files, (config, _config(layers)), ("manifest.json", json.dumps(manifest).encode())])


def oci_layout(
    folder: Path, layers: Sequence[LayerMaker], *, compress: Callable[[bytes], bytes] = gzip.compress
) -> Path:
    """An OCI layout as a directory."""
    for name, content in _oci_files(layers, compress):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def oci_archive(
    path: Path, layers: Sequence[LayerMaker], *, compress: Callable[[bytes], bytes] = gzip.compress
) -> Path:
    """The same as one archive, its blobs before its index."""
    return _tar(path, _oci_files(layers, compress))


def _oci_files(layers: Sequence[LayerMaker], compress: Callable[[bytes], bytes]) -> list[tuple[str, bytes]]:
    blobs = [compress(layer.tar()) for layer in layers]
    config = _config(layers)
    manifest = {"schemaVersion": 2, "config": _descriptor(config), "layers": [_descriptor(blob) for blob in blobs]}
    document = json.dumps(manifest).encode()
    files = {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in (*blobs, config, document)}
    index = {"schemaVersion": 2, "manifests": [_descriptor(document)]}
    return [
        *files.items(),
        ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        ("index.json", json.dumps(index).encode()),
    ]


def _descriptor(blob: bytes) -> dict[str, object]:
    return {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _config(layers: Sequence[LayerMaker]) -> bytes:
    steps = [{"created_by": "ENV A=1", "empty_layer": True}, *({"created_by": layer.made_by} for layer in layers)]
    return json.dumps({"history": steps}).encode()


def _tar(path: Path, files: Sequence[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
