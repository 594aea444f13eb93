"""What the tests of the volume share: content of whole blocks, and processes that die where they are told to."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prefetch.volume.partial import BLOCK_SIZE, Identity, Partial

KILLED = 99
STEPS = ("ftruncate", "fsync", "link", "mkdir", "open", "pwrite", "rename", "unlink", "write")


def content(length: int, *, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def identity_of(data: bytes, path: str = "models/vae/x.safetensors") -> Identity:
    return Identity(path, len(data), hashlib.sha256(data).hexdigest(), "https://host.test/x", None)


def block(data: bytes, index: int) -> bytes:
    return data[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def open_descriptors() -> dict[str, str]:
    """The number of every open file, and what it is."""
    return {path.name: str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def write(partial: Partial, data: bytes, indices: Iterable[int] | None = None) -> None:
    for index in range(partial.block_count) if indices is None else indices:
        partial.write(index, block(data, index))


def read_all(partial: Partial) -> dict[int, bytes | None]:
    """Every claimed block, as `Partial.read` gives it."""
    buffer = memoryview(bytearray(BLOCK_SIZE))
    found = {}
    for index in sorted(partial.claimed):
        view = partial.read(index, buffer)
        found[index] = None if view is None else bytes(view)
    return found


def in_child(work: Callable[[], object]) -> int:
    """Do ``work`` in a process of its own; returns its exit code, 0 if it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_at(step: int, work: Callable[[], object]) -> Callable[[], None]:
    """``work``, but the process is gone just before its system call number ``step`` that could change anything."""
    left = step

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **options: Any) -> Any:
            nonlocal left
            changes = name != "open" or args[1] & os.O_CREAT
            if changes and left == 0:
                os._exit(KILLED)
            left -= bool(changes)
            return call(*args, **options)

        return wrapper

    def doomed() -> None:
        for name in STEPS:
            setattr(os, name, counted(name, getattr(os, name)))
        work()

    return doomed
