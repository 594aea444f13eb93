"""The copy of its manifests that a sidecar keeps on the volume."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prefetch.given import Given, Remote, Written
from prefetch.manifest import Wanted
from prefetch.sidecar.target import Target
from prefetch.volume.followed import Followed, read_followed, wanted_by_others, write_followed
from prefetch.volume.layout import Volume

__all__ = ["Memory", "machine_of"]

_OF_A_POD = re.compile(r"(-[bcdf-hj-np-tv-xz0-9]{6,10})?-[bcdf-hj-np-tv-xz0-9]{5}$|-[0-9]+$")
"""What Kubernetes puts behind the name of a Deployment, a DaemonSet or a StatefulSet."""


class Memory:
    """What the volume remembers of these manifests. Blocking calls; each raises an error of ours.

    A sidecar is known by where its manifests are, so that another one that follows the same goes on with it: an
    address, a file on the volume, or a file of this machine, which another may have too, with something else in it.

    Args:
        root: the volume's.
        machine: what this machine is called; see `machine_of`.
    """

    def __init__(self, given: Iterable[Given], root: Path, machine: str) -> None:
        names = [_name(each, root, machine) for each in given]
        self._key = hashlib.sha256(json.dumps(names).encode()).hexdigest()
        # Manifests are read while models are removed: each of the two changes what it read, not what the other wrote.
        self._writing = threading.Lock()

    def keep(self, target: Target, volume: Volume) -> None:
        """Remember what is wanted by now, and that it was wanted once."""
        manifest, wanted = _as_manifest(target.whole), frozenset(target.named)
        with self._writing:
            before = read_followed(volume, self._key)
            followed = Followed(manifest, wanted, wanted if before is None else wanted | before.named)
            if followed != before:
                write_followed(volume, self._key, followed)

    def manifest(self, volume: Volume) -> Written | None:
        """The manifest that is remembered: a stranger's text, as others can write to the volume."""
        followed = read_followed(volume, self._key)
        if followed is None:
            return None
        return Written("the copy of the manifest on the volume", followed.manifest.encode(), fetched=True)

    def unwanted(self, target: Target, volume: Volume) -> frozenset[str]:
        """The models that our manifests named once, and neither they nor another sidecar's name now."""
        followed = read_followed(volume, self._key)
        if followed is None:
            return frozenset()
        return followed.named - frozenset(target.named) - wanted_by_others(volume, self._key)

    def forget(self, paths: Sequence[str], volume: Volume) -> None:
        """These are gone from the volume. What is wanted again by now stays known as ours."""
        with self._writing:
            if (followed := read_followed(volume, self._key)) is not None:
                named = followed.named - frozenset(paths) | followed.wanted
                write_followed(volume, self._key, replace(followed, named=named))


def machine_of(environ: Mapping[str, str], host: str) -> str:
    """What a machine is called whose files are the same after a restart: a pod of RunPod's, or on Kubernetes what the
    pods belong to, whose own names change all the time; else the host.
    """
    if pod := environ.get("RUNPOD_POD_ID"):
        return pod
    return _OF_A_POD.sub("", host) if "KUBERNETES_SERVICE_HOST" in environ else host


def _name(given: Given, root: Path, machine: str) -> list[str]:
    match given:
        case Path():
            path = Path(os.path.realpath(given.parent)) / given.name
            on_volume = path.is_relative_to(root)
            return ["volume", str(path.relative_to(root))] if on_volume else ["file", machine, str(path)]
        case Remote():
            return ["address", given.digest]
        case Written():
            # Two machines may have another text in the same variable.
            return ["text", given.name, hashlib.sha256(given.data).hexdigest()]


def _as_manifest(wanted: Wanted) -> str:
    models = [entry.model.model_dump(mode="json", exclude_defaults=True) for entry in wanted.entries]
    return json.dumps({"version": 1, "models": models}, separators=(",", ":"))
