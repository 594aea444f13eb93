"""Another host on this machine: a host name, process numbers and a /proc of its own, and the mount it is given."""

from __future__ import annotations

from tests.support.commands import Commands

__all__ = ["on_host"]

_APART = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")


def on_host(commands: Commands, name: str, **env: str) -> Commands:
    """The same command on a host of this name, each time in a new container there. Needs the part ``mounts``."""
    prefix = (*_APART, "sh", "-c", 'hostname "$0" && exec "$@"', name)
    return Commands(commands.home, {**commands.env, **env}, prefix)
