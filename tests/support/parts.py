"""The system parts some tests need, and how to tell whether this machine has them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["PARTS", "Part", "missing", "required"]

REQUIRE = "PREFETCH_TEST_REQUIRE"


@dataclass(frozen=True, slots=True)
class Part:
    """Something that pip cannot install: programs, and perhaps a right that the machine must grant."""

    packages: str
    programs: tuple[str, ...]
    lacks: Callable[[], str | None] = lambda: None

    def reason(self) -> str | None:
        """Why this machine cannot serve the part, in words for a person; None where it can."""
        absent = [program for program in self.programs if shutil.which(program, path=_search_path()) is None]
        if absent:
            return f"{', '.join(absent)} not found (Debian: {self.packages})"
        return self.lacks()


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def _lacks_network_namespaces() -> str | None:
    if os.geteuid() != 0:
        return "network namespaces and FUSE mounts need root"
    if not Path("/dev/fuse").exists():
        return "this machine has no /dev/fuse"
    trial = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return None if trial.returncode == 0 else "this machine does not allow network namespaces"


def _lacks_fuse() -> str | None:
    if os.geteuid() != 0:
        return "FUSE mounts need root"
    if not Path("/dev/fuse").exists():
        return "this machine has no /dev/fuse"
    return None if Path("/usr/include/fuse3/fuse.h").exists() else "fuse.h not found (Debian: libfuse3-dev)"


def _lacks_kustomize() -> str | None:
    words = ["kubectl", "version", "--client", "--output=json"]
    version = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return (
        None if "kustomizeVersion" in version else "kubectl is older than 1.24, and its kustomize knows no components"
    )


def _lacks_mounts() -> str | None:
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    trial = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return None if trial.returncode == 0 else "this machine does not allow mounts"


PARTS = {
    "aria2c": Part("aria2", ("aria2c",)),
    "btrfs": Part("btrfs-progs mount", ("mkfs.btrfs", "mount", "umount"), _lacks_mounts),
    "bubblewrap": Part("bubblewrap", ("bwrap",), _lacks_mounts),
    "buildah": Part("buildah debootstrap git", ("buildah", "debootstrap", "git"), _lacks_mounts),
    "chromium": Part("chromium", ("chromium",)),
    "curl": Part("curl", ("curl",)),
    "faketime": Part("faketime", ("faketime",)),
    "faultfs": Part("gcc libc6-dev libfuse3-dev fuse3 mount", ("gcc", "fusermount3", "umount"), _lacks_fuse),
    "gcc": Part("gcc libc6-dev", ("gcc",)),
    "kubectl": Part("kubernetes-client, in Debian 13 or newer", ("kubectl",), _lacks_kustomize),
    "moosefs": Part(
        "moosefs-master moosefs-chunkserver moosefs-client fuse3 iproute2",
        ("mfsmaster", "mfschunkserver", "mfsmount", "fusermount3", "ip", "tc"),
        _lacks_network_namespaces,
    ),
    "mounts": Part("mount util-linux", ("mount", "umount", "setpriv"), _lacks_mounts),
    "namespaces": Part("iproute2 util-linux mount", ("ip", "nsenter", "unshare", "mount"), _lacks_network_namespaces),
    "nginx": Part("nginx-light", ("nginx",)),
    "openssl": Part("openssl", ("openssl",)),
    "prometheus": Part("prometheus", ("prometheus", "promtool")),
    "pushgateway": Part("prometheus-pushgateway", ("prometheus-pushgateway",)),
    "tmux": Part("tmux", ("tmux",)),
    "wget": Part("wget", ("wget",)),
}


@cache
def missing(name: str) -> str | None:
    """Why part ``name`` is missing here, or None. An unknown name is a mistake in the test."""
    return PARTS[name].reason()


def required(name: str) -> bool:
    """Whether ``PREFETCH_TEST_REQUIRE`` (``all``, or names with commas) turns a missing ``name`` into a failure."""
    wanted = os.environ.get(REQUIRE, "")
    return wanted == "all" or name in wanted.split(",")
