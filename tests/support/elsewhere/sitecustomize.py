"""Python as it is on Windows, for what is imported after this: found first on PYTHONPATH, it runs at start-up.

Hidden is all of ``os`` and ``signal`` that the documentation does not call available there, the modules of Unix, and
descriptors of directories. The standard library's own Unix half needs some of it, so that half is imported before.
"""

import asyncio
import functools
import os
import posix
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

ABSENT_MODULES = frozenset(
    {"crypt", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd", "syslog", "termios", "tty"}
)
# What the module ``nt`` has of that which ``posix`` has.
KEPT = frozenset(
    [
        "DirEntry",
        "F_OK",
        "O_APPEND",
        "O_CREAT",
        "O_EXCL",
        "O_RDONLY",
        "O_RDWR",
        "O_TRUNC",
        "O_WRONLY",
        "R_OK",
        "TMP_MAX",
        "W_OK",
        "X_OK",
        "_exit",
        "abort",
        "access",
        "chdir",
        "chmod",
        "close",
        "closerange",
        "cpu_count",
        "device_encoding",
        "dup",
        "dup2",
        "environ",
        "error",
        "execv",
        "execve",
        "fspath",
        "fstat",
        "fsync",
        "ftruncate",
        "get_inheritable",
        "get_terminal_size",
        "getcwd",
        "getcwdb",
        "getlogin",
        "getpid",
        "getppid",
        "isatty",
        "kill",
        "link",
        "listdir",
        "lseek",
        "lstat",
        "mkdir",
        "open",
        "pipe",
        "putenv",
        "read",
        "readlink",
        "remove",
        "rename",
        "replace",
        "rmdir",
        "scandir",
        "set_inheritable",
        "stat",
        "stat_result",
        "strerror",
        "symlink",
        "system",
        "terminal_size",
        "times",
        "times_result",
        "truncate",
        "umask",
        "unlink",
        "unsetenv",
        "urandom",
        "utime",
        "waitpid",
        "waitstatus_to_exitcode",
        "write",
    ]
)
KEPT_SIGNALS = frozenset({"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"})
KEPT_OF_SIGNAL = frozenset(
    [
        "Handlers",
        "Signals",
        "default_int_handler",
        "getsignal",
        "raise_signal",
        "set_wakeup_fd",
        "signal",
        "strsignal",
        "valid_signals",
    ]
)
WITH_DIRECTORIES = ("link", "lstat", "mkdir", "open", "remove", "rename", "replace", "rmdir", "stat", "unlink", "utime")

USAGE = type(shutil.disk_usage(os.curdir))
# Imported for what they are made of here; used by nobody below.
BEFORE = (asyncio, ssl, subprocess, tempfile)


class Absent(MetaPathFinder):
    """Finds that Unix's modules are not there."""

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> None:
        if fullname in ABSENT_MODULES:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def without_directories(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def refusing(*arguments: Any, **options: Any) -> Any:
        if any(options.get(name) is not None for name in ("dir_fd", "src_dir_fd", "dst_dir_fd")):
            raise NotImplementedError("dir_fd unavailable on this platform")
        return function(*arguments, **options)

    return refusing


def disk_usage(path: Any, statvfs: Callable[[Any], os.statvfs_result] = os.statvfs) -> Any:
    """What `shutil.disk_usage` says there, by a call of its own."""
    status = statvfs(path)
    sizes = (status.f_blocks, status.f_blocks - status.f_bfree, status.f_bavail)
    return USAGE(*(blocks * status.f_frsize for blocks in sizes))


def hide() -> None:
    vars(shutil)["disk_usage"] = disk_usage
    for name in set(dir(posix)) - KEPT:
        if not name.startswith("__") and name in vars(os):
            delattr(os, name)
    for name in ("environb", "fwalk", "getenvb"):
        delattr(os, name)
    for name in WITH_DIRECTORIES:
        setattr(os, name, without_directories(getattr(os, name)))
    os.supports_dir_fd.clear()
    os.supports_fd.clear()
    for name in list(vars(signal)):
        hidden = name.startswith("SIG") and name not in KEPT_SIGNALS
        if hidden or (name[0] != "_" and not name.startswith("SIG") and name not in KEPT_OF_SIGNAL):
            delattr(signal, name)
    for name in ABSENT_MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Absent())
    # A text file there is in the code page, unless it is said otherwise.
    warnings.filterwarnings("error", category=EncodingWarning, module=r"prefetch(\.|$)")


hide()
