"""The one way to read a file that somebody else may have written: regular, of bounded size and without waiting.

Whoever can write to the volume, or to the folder of a manifest, can put a pipe, a device, a link or a file of any size
in the place of a document. Standard library only: the container's entrypoint comes through here before every start.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import BinaryIO

__all__ = ["Unfit", "open_below", "open_file", "read_below", "read_file"]

# Without O_NONBLOCK, opening a pipe waits for its writer; Windows has neither, but changes line ends.
_FLAGS: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_OWN_DESCRIPTOR = re.compile(r"/dev/stdin|/(?:dev|proc/self)/fd/[0-9]{1,9}")
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO})
"""What `os.open` says of a link that is not followed, and of a socket."""
_IRREGULAR = "it is no regular file"


class Unfit(OSError):
    """What stands there is not what is read there: no regular file, too large, or of a content that makes no sense.

    ``strerror`` says which, as half a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """A file that the user names, open for reading.

    Links are followed: Kubernetes mounts each file of a ConfigMap as one. A descriptor that this process was started
    with (``/dev/stdin``, ``/dev/fd/63``) may be a pipe and is read to its end, as its user wants.

    Raises:
        OSError: it cannot be read; Unfit if it is no regular file.
    """
    number = os.open(path, _FLAGS)
    try:
        if _OWN_DESCRIPTOR.fullmatch(os.fspath(path)):
            os.set_blocking(number, True)
        else:
            _size_of(number)
    except BaseException:
        os.close(number)
        raise
    return open(number, "rb")


def read_file(path: str | os.PathLike[str], *, most: int) -> bytes:
    """The content of a file that the user names, if it has at most ``most`` bytes. Raises as `open_file`."""
    with open_file(path) as file:
        return _all(file, most)


def open_below(name: str, *, directory: int, most: int) -> BinaryIO | None:
    """A document in an open directory of the volume, open for reading; None if there is none.

    Raises:
        Unfit: it is a link, no regular file, or larger than ``most`` bytes.
        OSError: it cannot be read.
    """
    try:
        number = os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            raise Unfit(_IRREGULAR) from None
        raise
    try:
        if _size_of(number) > most:
            raise _too_large(most)
    except BaseException:
        os.close(number)
        raise
    return open(number, "rb")


def read_below(name: str, *, directory: int, most: int) -> bytes | None:
    """The content of a document in an open directory of the volume; None if there is none. Raises as `open_below`."""
    file = open_below(name, directory=directory, most=most)
    if file is None:
        return None
    with file:
        return _all(file, most)


def _size_of(number: int) -> int:
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        raise Unfit("it is a directory" if stat.S_ISDIR(status.st_mode) else _IRREGULAR)
    return status.st_size


def _all(file: BinaryIO, most: int) -> bytes:
    # It may have grown since it was looked at, and a pipe tells no size.
    data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(most)
    return data


def _too_large(most: int) -> Unfit:
    return Unfit(f"it is larger than {most >> 20} MiB" if most >> 20 else f"it is larger than {most:,} bytes")
