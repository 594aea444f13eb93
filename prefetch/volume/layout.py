"""Where things are on a volume: models at their paths, everything of ours below ``.prefetch``.

.prefetch/FORMAT       the version of all this, ``1``
          partial/     models on their way, with their journals
          inventory/   what we know of each model that stands there
          applied/     what the last run of each manifest came to
          followed/    what sidecars follow
          history/     the latest runs
          listings/    what directories of repositories held when they were first listed
          jobs/        the one-shot jobs of pods: when each began, and what it came to
          scrub/       how far the volume has been read again
          rejected/    which files of hosts turned out to have another hash than the manifest's
          replaced/    what stood under a model's name before and was not ours
          tmp/         small files before they are renamed to their names
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prefetch import __version__
from prefetch.errors import SpaceError, UsageError, VolumeError, from_os_error
from prefetch.system import DESCRIPTORS
from prefetch.volume import files
from prefetch.volume.mounts import find_volume
from prefetch.volume.paths import STATE, check_model_path
from prefetch.volume.reading import Unfit, read_below

__all__ = ["FORMAT", "Volume", "VolumeGone", "check_model_path", "find_volume"]

FORMAT = 1
"""The version of everything below ``.prefetch``. It grows when an older prefetch could misread a newer one's state."""

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTCONN, errno.ENODEV, errno.ESTALE})


class VolumeGone(VolumeError):
    """What stands at the volume's root is not the volume that was opened."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory that models are put below. Safe to use from many threads and many hosts at once.

    Every method that takes a model's path raises ValueError for one that `check_model_path` refuses.

    Attributes:
        root: absolute, with no symbolic link in it.
        device, inode: the root's own, as it was opened.
        set_aside: what was met below `state` that is nothing of ours, and that nobody goes by: paths below it.
        unrecorded: why what would have spared the next run some work could not be recorded.
    """

    root: Path
    device: int
    inode: int
    set_aside: set[str] = field(default_factory=set, compare=False, repr=False)
    unrecorded: list[VolumeError | SpaceError] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> Volume:
        """The volume at the existing directory ``root``, made if ``create``; nothing else is written yet.

        Raises:
            UsageError: there is no such directory, or what stands in it is not for this version.
        """
        try:
            if create:
                root.mkdir(parents=True, exist_ok=True)
            real = Path(os.path.realpath(root, strict=True))
            status = files.directory_status(real)
        except OSError as error:
            # To a person who names a file it is no news that it exists.
            reason = os.strerror(errno.ENOTDIR) if isinstance(error, FileExistsError) else error.strerror
            raise UsageError(
                f"{root} cannot be used as a volume: {reason}.",
                remedy="Pass an existing directory as --volume.",
            ) from error
        volume = cls(real, status.st_dev, status.st_ino)
        volume._check_format()
        return volume

    @property
    def state(self) -> Path:
        """The directory of everything that is ours and no model."""
        return self.root / STATE

    @property
    def disk(self) -> Path:
        """A directory that is there, on the file system that holds the models."""
        return self.root

    def prepare(self) -> None:
        """Make the state directory, if it is not there."""
        with files.os_errors(f"making {self.state}"), self._root() as root:
            state = files.make_directory(STATE, dir_fd=root)
            try:
                if files.lstat("FORMAT", dir_fd=state) is None:
                    files.replace("FORMAT", f"{FORMAT}\n".encode(), dir_fd=state, temporary=state)
            finally:
                os.close(state)

    def confirm(self) -> None:
        """Raise VolumeGone unless the root is the one that was opened: else a model that is missing tells nothing."""
        with files.os_errors(f"looking at {self.root}"), self._root():
            pass

    def check_state(self) -> None:
        """Raise VolumeError unless everything of ours can be written: before the first byte, not after the last."""
        for name in ("partial", "inventory", "applied", "tmp"):
            with files.os_errors(f"opening {self.state / name}"), self.writing(name):
                pass

    @contextmanager
    def reading(self, *parts: str) -> Iterator[int | None]:
        """A directory below `state`, as a descriptor; None where there is none yet, or this system has none."""
        if not DESCRIPTORS:
            yield None
            return
        try:
            with self._root() as root:
                directory = files.descend(root, (STATE, *parts))
        except FileNotFoundError:
            yield None
            return
        try:
            yield directory
        finally:
            os.close(directory)

    @contextmanager
    def writing(self, *parts: str) -> Iterator[int]:
        """A directory below `state`, as a descriptor, made with all above it where it is missing."""
        self.prepare()
        with self._root() as root:
            state = files.open_directory(STATE, dir_fd=root)
        try:
            directory = files.descend(state, parts, step=files.make_directory)
        finally:
            os.close(state)
        try:
            yield directory
        finally:
            os.close(directory)

    def stat(self, path: str) -> os.stat_result | None:
        """The regular file at a model's path, through links that stay on the volume; None for anything else."""
        check_model_path(path)
        try:
            # The common case on a volume with nothing on it, at a fifth of the cost of following each component.
            os.lstat(f"{self.root}/{path}")
            found = os.lstat("/".join((os.fspath(self.root), *self._real(path))))
        except (FileNotFoundError, NotADirectoryError, _LeavesVolume):
            return None
        except OSError as error:
            raise from_os_error(error, what=f"looking at {path}") from error
        return found if stat.S_ISREG(found.st_mode) else None

    def real_directory(self, path: str) -> str | None:
        """The absolute path that a directory comes to, through links that stay on the volume; None for one that leaves.

        ``path`` is the part of a model's path before its last slash, empty for the volume itself.
        """
        try:
            return "/".join((os.fspath(self.root), *(self._real(path) if path else ())))
        except _LeavesVolume:
            return None

    def check_target(self, path: str) -> None:
        """Raise VolumeError, saying what is in the way, if no file could ever be placed at ``path``."""
        check_model_path(path)
        parent, _, name = path.rpartition("/")
        above = self.root
        with files.os_errors(f"looking at {path}"):
            for part in self._real(parent) if parent else ():
                above /= part
                if above.exists() and not above.is_dir():
                    raise _obstacle(f"{above.relative_to(self.root)} on the way to {path} is not a directory")
            standing = above / name
            if standing.is_symlink():
                self._real(path)
            elif standing.is_dir():
                raise _obstacle(f"{path} is a directory")
            elif standing.exists() and not standing.is_file():
                raise _obstacle(f"{path} is no regular file")

    def directory(self, path: str) -> int:
        """A descriptor of the directory a model's path lies in, made with all above it where it is missing.

        Raises:
            VolumeError: a link on the way leaves the volume, or something on the way is not a directory.
        """
        check_model_path(path)
        parent, _, _ = path.rpartition("/")
        with files.os_errors(f"making the directory of {path}"), self._root() as root:
            return files.descend(root, self._real(parent) if parent else (), step=files.make_directory)

    def open_file(self, path: str) -> int:
        """A descriptor for reading the regular file that `stat` finds at a model's path.

        Raises:
            VolumeError: there is none, or the volume refused.
        """
        with files.os_errors(f"opening {path}"), self.parent_of(path) as (directory, name):
            number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise _obstacle(f"{path} is no regular file")
        return number

    @contextmanager
    def parent_of(self, path: str) -> Iterator[tuple[int, str]]:
        """The directory, as a descriptor, and the name in it, that an existing model's path comes to."""
        check_model_path(path)
        # A link to the volume itself has no components left.
        *parents, name = self._real(path) or (".",)
        with self._root() as root:
            directory = files.descend(root, parents)
        try:
            yield directory, name
        finally:
            os.close(directory)

    @contextmanager
    def _root(self) -> Iterator[int]:
        root = self._open_root()
        try:
            yield root
        finally:
            os.close(root)

    def _open_root(self) -> int:
        try:
            root = files.open_directory(self.root)
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise self._gone() from error
            raise
        status = os.fstat(root)
        if (status.st_dev, status.st_ino) != (self.device, self.inode):
            # Below a mount point lies a folder of this machine: what is put there is on no volume, and in the way.
            os.close(root)
            raise self._gone()
        return root

    def _gone(self) -> VolumeGone:
        return VolumeGone(
            f"{self.root} is not the volume any more that it was at the beginning: it was unmounted or replaced.",
            remedy="Mount it again and run the same command again: what was fetched is on it.",
        )

    def _real(self, path: str) -> tuple[str, ...]:
        """The components that ``path`` comes to when its links are followed."""
        real = os.path.realpath(f"{self.root}/{path}")
        if (parts := self._below(real)) is not None:
            return parts
        raise _LeavesVolume(
            f"{self._leaving(path)} is a symbolic link that leads to {real}, which is no place for models.",
            remedy="Remove the link, or pass the directory it leads to as --volume.",
        )

    def _below(self, real: str) -> tuple[str, ...] | None:
        """The components of a real path below the root; None for one outside of it, or in our own state."""
        # Strings and no paths: it is done for each of ten thousand models.
        real, root = real.replace(os.sep, "/"), os.fspath(self.root).replace(os.sep, "/").rstrip("/")
        if not f"{real}/".startswith(f"{root}/"):
            return None
        parts = tuple(filter(None, real[len(root) :].split("/")))
        return None if parts[:1] == (STATE,) else parts

    def _leaving(self, path: str) -> str:
        parts = path.split("/")
        prefixes = ("/".join(parts[:count]) for count in range(1, len(parts)))
        leaving = (prefix for prefix in prefixes if self._below(os.path.realpath(f"{self.root}/{prefix}")) is None)
        return next(leaving, path)

    def _check_format(self) -> None:
        try:
            with self.reading() as state:
                found = None if state is None else read_below("FORMAT", directory=state, most=64)
        except Unfit:
            found = b""
        except OSError as error:
            raise UsageError(
                f"{self.state} cannot be used: {error.strerror}.",
                remedy="It has to be a directory of prefetch's own: move away what stands there.",
            ) from error
        if found is None or found.strip() == str(FORMAT).encode():
            return
        if found.strip().isdigit() and int(found) > FORMAT:
            raise UsageError(
                f"{self.state} has format {int(found)}; prefetch {__version__} is too old for it and knows {FORMAT}.",
                remedy="Use the newer prefetch that wrote it.",
            )
        raise UsageError(
            f"{self.state / 'FORMAT'} was not written by prefetch.", remedy=f"Move {self.state} out of the way."
        )


class _LeavesVolume(VolumeError):
    """A symbolic link leads out of the volume, or into our own state."""


def _obstacle(what: str) -> VolumeError:
    return VolumeError(f"{what}, so no model can be placed there.", remedy="Move it away, or choose another path.")
