"""Who has a claim or writes a partial file, and whether that process can be proven to be gone."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefetch.volume.untrusted import Kinds, has_fields

__all__ = ["Owner"]

_FIELDS: dict[str, Kinds] = {
    "host": str,
    "boot_id": str,
    "pid_namespace": int,
    "pid": int,
    "started": int,
    "pod": str,
    "mount": int,
}


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one host since one boot.

    Attributes:
        boot_id: the kernel's own, new at every boot; empty where it is not to be had.
        pid_namespace: the inode number of the namespace in which ``pid`` counts; 0 where it is not to be had.
        started: the process's start time in clock ticks since the boot; 0 where it is not to be had.
        pod: the RunPod pod or worker that it runs in; empty elsewhere.
        mount: the device number of the file system through which it writes; 0 where that is not told.
    """

    host: str
    boot_id: str
    pid_namespace: int
    pid: int
    started: int
    pod: str = ""
    mount: int = 0

    @classmethod
    def current(cls, *, mount: int = 0) -> Owner:
        """This process."""
        pid = os.getpid()
        state = _state(pid)
        return cls(
            host=os.uname().nodename,
            boot_id=_boot_id(),
            pid_namespace=_pid_namespace(),
            pid=pid,
            started=state.started if state else 0,
            pod=_pod(),
            mount=mount,
        )

    @classmethod
    def from_json(cls, document: object) -> Owner | None:
        """The owner that `to_json` wrote; None for anything else."""
        if not isinstance(document, dict) or not has_fields(document, _FIELDS):
            return None
        return cls(**{name: document[name] for name in _FIELDS})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, where our process numbers mean the same: on this host, since this boot."""
        return self._container_known and (self.host, *self._container) == (os.uname().nodename, *_container())

    def wrote_through(self, mount: int) -> bool:
        """Whether it ran here and wrote through that very mount.

        Another mount of the same file system on the same host has a cache of its own, which outlives its writers.
        """
        return self.here and self.mount == mount

    def gone(self) -> bool:
        """Whether it works no more: it is proven dead, or its pod has another container now, and a pod has one."""
        replaced = bool(self.pod) and self.pod == _pod() and self._container_known and self._container != _container()
        return replaced or self.proven_dead()

    def proven_dead(self) -> bool:
        """True only if that process is known to have ended. Whatever is not known: False."""
        if not self.here or not self.started:
            return False
        try:
            # Not by /proc alone: it can be mounted so that the processes of other users are hidden.
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass
        state = _state(self.pid)
        return state is not None and (state.started != self.started or state.ended)

    @property
    def _container(self) -> tuple[str, int]:
        return self.boot_id, self.pid_namespace

    @property
    def _container_known(self) -> bool:
        return all(self._container)


@dataclass(frozen=True, slots=True)
class _State:
    started: int
    ended: bool


def _state(pid: int) -> _State | None:
    process = Path("/proc", str(pid))
    try:
        # The second field is the program's name, in which anything can stand; its closing parenthesis is the last.
        fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
        # A leader that has exited while its other threads run is shown as a zombie too.
        alone = len(list((process / "task").iterdir())) == 1
        return _State(int(fields[19]), fields[0] in b"ZX" and alone)
    except (OSError, ValueError, IndexError):
        return None


def _container() -> tuple[str, int]:
    return _boot_id(), _pid_namespace()


def _pod() -> str:
    return os.environ.get("RUNPOD_POD_ID", "")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0
