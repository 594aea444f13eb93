"""A real file system that fails where a test tells it to, and notes every change: `faultfs.c`, compiled and mounted."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.runs import until

__all__ = ["Change", "FaultFS", "Rule", "compiled", "mounted_faultfs"]

SOURCE = Path(__file__).with_name("faultfs.c")


@dataclass(frozen=True, slots=True)
class Rule:
    """One operation that fails.

    Attributes:
        operation: the FUSE operation's name; ``close`` is what close(2) answers, ``lost`` a read of byte ``first``.
        glob: which paths, from the mount point on; ``*`` matches slashes too.
        error: the errno's name.
        first: the first time it fails, from 1.
        count: how often, 0 for ever.
    """

    operation: str
    glob: str
    error: str
    first: int = 1
    count: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One operation that changed something, or brought it to the disk."""

    operation: str
    inode: int
    offset: int
    length: int
    path: str
    path2: str
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class FaultFS:
    """A mounted one.

    Attributes:
        root: where it is mounted.
        behind: the folder that holds everything.
    """

    root: Path
    behind: Path
    server: subprocess.Popen[bytes]
    _rules: Path
    _journal: Path

    def fail(self, *rules: Rule) -> None:
        """Fail so from now on, and in no other way."""
        lines = (
            f"{rule.operation} {rule.glob} {getattr(errno, rule.error)} {rule.first} {rule.count}\n" for rule in rules
        )
        # By rename, so that no operation ever sees a half of it.
        draft = self._rules.with_suffix(".new")
        draft.write_text("".join(lines))
        draft.rename(self._rules)

    def behave(self) -> None:
        """Fail no more."""
        self.fail()

    def unmount(self) -> None:
        """Take it away, whoever uses it: the mount point is an empty folder again."""
        subprocess.run(["umount", "--lazy", self.root], check=True)

    def changes(self) -> list[Change]:
        """What has happened, in order; only once the server has ended."""
        rest, found = self._journal.read_bytes(), []
        while rest:
            line, _, rest = rest.partition(b"\n")
            operation, inode, offset, length, path, path2 = line.decode().split("\t")
            size = int(length) if operation == "write" else 0
            found.append(Change(operation, int(inode), int(offset), int(length), path, path2, rest[:size]))
            rest = rest[size:]
        return found


def compiled(folder: Path) -> Path:
    """The program, made in ``folder``."""
    program = folder / "faultfs"
    flags = ["-O1", "-Wall", "-Werror", "-D_FILE_OFFSET_BITS=64", "-I/usr/include/fuse3"]
    subprocess.run(["gcc", *flags, SOURCE, "-o", program, "-lfuse3"], check=True)
    return program


@contextmanager
def mounted_faultfs(program: Path, folder: Path) -> Iterator[FaultFS]:
    """Mount one, with all that belongs to it, below the new folder ``folder``."""
    root, behind, rules, journal = (folder / name for name in ("mounted", "behind", "rules", "journal"))
    root.mkdir(parents=True)
    behind.mkdir()
    with subprocess.Popen([program, root, behind, rules, journal]) as server:
        try:
            until(lambda: os.path.ismount(root), "the mount")
            yield FaultFS(root, behind, server, rules, journal)
        finally:
            subprocess.run(["umount", "--lazy", root], check=False, capture_output=True)
            server.terminate()
