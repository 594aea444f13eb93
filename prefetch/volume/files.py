"""The few system calls everything on the volume is made of, in the form that can be trusted.

Directories are opened one component at a time, relative to the one above and never through a symbolic link, so that a
component swapped for a link while we work cannot lead anywhere else.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prefetch.errors import from_os_error
from prefetch.system import DESCRIPTORS

__all__ = [
    "Descriptor",
    "append",
    "descend",
    "directory_status",
    "flush",
    "lstat",
    "make_directory",
    "names",
    "open_directory",
    "os_errors",
    "pin_modified",
    "read_into",
    "remove",
    "replace",
    "write_at",
]

_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})


class Descriptor:
    """A file descriptor that many threads use at once.

    Closing waits for those inside: the kernel gives a closed number to the next file that is opened, and a late write
    would land there.
    """

    def __init__(self, number: int) -> None:
        self._number: int | None = number
        self._users = 0
        self._changed = threading.Condition()

    @contextmanager
    def use(self) -> Iterator[int]:
        """The number, valid until the block ends. Raises OSError (EBADF) once closed."""
        with self._changed:
            if self._number is None:
                raise OSError(errno.EBADF, "the file is closed already")
            number = self._number
            self._users += 1
        try:
            yield number
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Close it, once; an error of the first time counts as closed."""
        with self._changed:
            number, self._number = self._number, None
            self._changed.wait_for(lambda: self._users == 0)
        if number is not None:
            os.close(number)


@contextmanager
def os_errors(what: str) -> Iterator[None]:
    """Turn every OSError inside into an error of ours; ``what`` names the operation and the file."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, what=what) from error


def open_directory(name: str | os.PathLike[str], *, dir_fd: int | None = None) -> int:
    """Open a directory that is no symbolic link; raises NotADirectoryError or FileNotFoundError."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)


def directory_status(path: Path) -> os.stat_result:
    """The status of a directory that can be opened; raises NotADirectoryError or FileNotFoundError."""
    if not DESCRIPTORS:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return status
    number = open_directory(path)
    try:
        return os.fstat(number)
    finally:
        os.close(number)


def make_directory(name: str, *, dir_fd: int) -> int:
    """Open a directory as `open_directory` does, made if it is missing."""
    try:
        os.mkdir(name, 0o755, dir_fd=dir_fd)
    except FileExistsError:
        return open_directory(name, dir_fd=dir_fd)
    # What is put into it is only as durable as its own name.
    flush(dir_fd)
    return open_directory(name, dir_fd=dir_fd)


def names(directory: int) -> list[str]:
    """What an open directory holds now.

    It is opened anew: through the same descriptor btrfs shows a second reader only what the first could have seen.
    """
    anew = open_directory(".", dir_fd=directory)
    try:
        with os.scandir(anew) as entries:
            return [entry.name for entry in entries]
    finally:
        os.close(anew)


def descend(start: int, parts: Iterable[str], *, step: Callable[..., int] = open_directory) -> int:
    """The directory at ``parts`` below the open one ``start``, each component opened by ``step``."""
    current = os.dup(start)
    for part in parts:
        try:
            below = step(part, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current


def lstat(name: str, *, dir_fd: int) -> os.stat_result | None:
    """What stands under this very name, a link itself where it is one; None for nothing."""
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def flush(number: int) -> None:
    """fsync of a file or a directory; a file system that has no such thing for it is not an error."""
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def pin_modified(number: int) -> None:
    """Have the modification time be for good what it is now. Raises OSError, on which nothing depends.

    MooseFS sets it twice, when a host writes and when the bytes arrive: what is shown in between would be recorded, and
    a second later the file would look changed.
    """
    status = os.fstat(number)
    os.utime(number, ns=(status.st_atime_ns, status.st_mtime_ns))


def write_at(number: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data``: a system call may take less than it was given."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(number, rest, offset)
        rest = rest[written:]
        offset += written


def append(number: int, data: bytes) -> None:
    """Write all of ``data`` at the end, in one system call unless the volume takes less."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]


def read_into(number: int, view: memoryview, offset: int) -> bool:
    """Fill ``view`` from ``offset``; False if the file ends before."""
    rest = view
    while rest:
        count = os.preadv(number, [rest], offset)
        if count == 0:
            return False
        rest = rest[count:]
        offset += count
    return True


def replace(name: str, data: bytes, *, dir_fd: int, temporary: int) -> None:
    """Write a small file whole or not at all, through a file of a random name in the directory ``temporary``."""
    draft = f"{name}.{os.urandom(8).hex()}"
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=temporary)
    try:
        with open(number, "wb") as file:
            file.write(data)
            file.flush()
            # Renamed before its bytes are on disk it could be an empty file after a power cut.
            flush(number)
        os.rename(draft, name, src_dir_fd=temporary, dst_dir_fd=dir_fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft, dir_fd=temporary)
        raise


def remove(name: str, *, dir_fd: int) -> None:
    """Unlink, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=dir_fd)
