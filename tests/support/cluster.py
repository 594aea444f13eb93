"""Pods as processes: each with a network, a name and process numbers of its own, each container as its manifest says.

A container gets the arguments, the environment and the mounts of its manifest, no capability, and a root that is
read-only where the manifest wants it. Needs the parts ``namespaces`` and ``bubblewrap``.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.namespaces import inside_network
from tests.support.slots import tool

__all__ = ["ORIGIN", "Cluster", "Pod", "cluster", "config_map", "terminate"]

ORIGIN = "10.78.0.1"
"""The address of what serves a cluster's pods."""
_SWITCH = " && ".join(
    [
        "ip link set lo up",
        "ip link add switch type bridge",
        f"ip address add {ORIGIN}/24 dev switch",
        "ip link set switch up",
    ]
)
_SYSTEM = tuple(map(Path, ("/bin", "/lib", "/lib32", "/lib64", "/sbin", "/usr")))
_PYTHON = tuple({Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix, Path(__file__).parents[2])})
_APART = (
    *("--unshare-pid", "--as-pid-1", "--unshare-uts", "--unshare-ipc"),
    *("--die-with-parent", "--cap-drop", "ALL", "--clearenv"),
)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that containers are started in.

    Attributes:
        name: its host name.
        address: where the others reach it.
        network: the process that holds its network.
    """

    name: str
    address: str
    network: int

    @property
    def enter(self) -> tuple[str, ...]:
        """What starts a program in the pod's network."""
        return ("nsenter", f"--net=/proc/{self.network}/ns/net")

    def words(
        self,
        container: Mapping[str, Any],
        entrypoint: Sequence[str],
        *,
        places: Mapping[str, Path],
        image: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """The command line that starts a container of a pod's manifest.

        Args:
            container: as the manifest has it.
            entrypoint: the image's.
            places: the directory of each of the pod's volumes; one that is not named is empty.
            image: directories that the image has, by their path in it.
            env: variables beside those of the manifest.
        """
        enter = [*self.enter, "bwrap", *_APART, "--hostname", self.name]
        bound = [word for path, source in (image or {}).items() for word in ("--ro-bind", str(source), path)]
        mounts = [word for mount in container["volumeMounts"] for word in _mount(mount, places)]
        seal = ["--remount-ro", "/"] if container["securityContext"]["readOnlyRootFilesystem"] else []
        variables = {variable["name"]: variable["value"] for variable in container["env"]} | dict(env or {})
        settings = [word for pair in variables.items() for word in ("--setenv", *pair)]
        # Again, above the mounts: a checkout below /tmp would be hidden by the container's own.
        program = list(_bound(_PYTHON))
        return [*enter, *_root(), *bound, *mounts, *program, *seal, *settings, "--", *entrypoint, *container["args"]]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pods that reach `ORIGIN` and each other, and nothing else."""

    holder: int
    _cleanup: ExitStack
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Have the sockets that this thread makes listen at `ORIGIN`."""
        with inside_network(self.holder):
            yield

    def pod(self, *, rate: str | None = None) -> Pod:
        """A new pod; ``rate`` caps its link in both directions, as tc writes it: ``20mbit``."""
        number = next(self._numbers)
        name, address = f"pod{number}", f"10.78.0.{number + 2}"
        pod = Pod(name, address, self._cleanup.enter_context(_network("ip link set lo up")))
        self._run("ip", "link", "add", name, "type", "veth", "peer", "eth0", "netns", str(pod.network))
        self._run("ip", "link", "set", name, "master", "switch", "up")
        tool(*pod.enter, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        tool(*pod.enter, "ip", "link", "set", "eth0", "up")
        if rate is not None:
            shape = ("root", "tbf", "rate", rate, "burst", "1mb", "latency", "50ms")
            self._run("tc", "qdisc", "add", "dev", name, *shape)
            tool(*pod.enter, "tc", "qdisc", "add", "dev", "eth0", *shape)
        return pod

    def _run(self, *words: str) -> None:
        tool("nsenter", f"--net=/proc/{self.holder}/ns/net", *words)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A network of pods, gone at the end with all that ran in it."""
    with ExitStack() as cleanup:
        yield Cluster(cleanup.enter_context(_network(_SWITCH)), cleanup)


def terminate(container: subprocess.Popen[str]) -> None:
    """Ask a container's first process to end, as the kubelet does."""
    for child in Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)


def config_map(folder: Path, data: Mapping[str, str]) -> Path:
    """Files as the kubelet lays them out in a pod, now or again: a change is one rename of a link."""
    folder.mkdir(exist_ok=True)
    version = folder / f"..{len(list(folder.glob('..[0-9]*')))}"
    version.mkdir()
    for name, text in data.items():
        (version / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(folder / "..data")
    return folder


@contextmanager
def _network(script: str) -> Iterator[int]:
    words = ["unshare", "--net", "sh", "-c", f"{script} && echo ready && exec sleep 600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
            yield holder.pid
        finally:
            holder.kill()


def _root() -> Iterator[str]:
    """A root of its own with this machine's programs and this checkout, and nothing else of it."""
    yield from ("--setenv", "PATH", f"{sys.prefix}/bin:/usr/bin:/bin")
    yield from ("--tmpfs", "/", "--proc", "/proc", "--dev", "/dev", "--dir", "/etc", "--dir", "/tmp")
    yield from _bound((*_SYSTEM, *_PYTHON, *Path("/etc").iterdir()))


def _bound(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from ("--ro-bind", str(path), str(path))


def _mount(mount: Mapping[str, Any], places: Mapping[str, Path]) -> list[str]:
    place, target = places.get(mount["name"]), mount["mountPath"]
    if place is None:
        return ["--tmpfs", target]
    return ["--ro-bind" if mount.get("readOnly") else "--bind", str(place), target]
