"""Images built by the real buildah, without a container engine, on bases made by debootstrap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.slots import tool_environment

__all__ = ["Buildah", "Container", "debian_base", "own_storage"]

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INSIDE = "/etc/ssl/test-certificates.pem"
PATIENCE = 600
SUITE = "bookworm"
PACKAGES = "ca-certificates,git,python3-venv"


@dataclass(frozen=True, slots=True)
class Buildah:
    """``buildah`` with a storage of its own below ``folder``."""

    folder: Path

    def __call__(self, *words: str | Path) -> str:
        """Run it to its end and give its output."""
        return _output(*self._command(*words))

    def build(self, dockerfile: Path, context: Path, *, tag: str, **arguments: str) -> str:
        """Build an image, with this machine's way to its package index; gives what the build said."""
        settings = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        mounts = [f"--volume={self.pip_conf}:/etc/pip.conf:ro", f"--volume={CERTIFICATES}:{INSIDE}:ro"]
        words = ("bud", "--isolation=chroot", "--layers", "--format=docker", *settings, *mounts)
        done = subprocess.run(
            [*self._command(*words), f"--tag={tag}", f"--file={dockerfile}", str(context)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env=tool_environment(),
        )
        if done.returncode != 0:
            raise BuildFailed(done.stdout)
        return done.stdout

    @contextmanager
    def container(self, image: str) -> Iterator[Container]:
        """A container of the image."""
        name = self("from", image).strip()
        try:
            yield Container(self, name)
        finally:
            self("rm", name)

    def save(self, image: str, archive: Path) -> Path:
        """The image as an archive, as ``docker save`` writes it."""
        self("push", "--quiet", image, f"docker-archive:{archive}")
        return archive

    @property
    def pip_conf(self) -> Path:
        """What the builds are told of pip's settings here: where packages come from, and whom to trust for it."""
        path = self.folder / "pip.conf"
        path.write_text(f"[global]\n{_index()}cert = {INSIDE}\n")
        return path

    def _command(self, *words: str | Path) -> list[str]:
        return [
            "buildah",
            "--root",
            str(self.folder / "storage"),
            "--runroot",
            str(self.folder / "run"),
            *map(str, words),
        ]


class BuildFailed(Exception):
    """A build that ended with an error; its text is what it said."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that commands run in, one after the other."""

    buildah: Buildah
    name: str

    def run(
        self,
        *words: str,
        volumes: Sequence[str] = (),
        env: dict[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it: its exit code and what it wrote. ``options`` are those of ``buildah run``."""
        settings = [*options, *(f"--env={name}={value}" for name, value in (env or {}).items())]
        mounts = [f"--volume={volume}" for volume in volumes]
        return subprocess.run(
            [*self.buildah._command("run", "--isolation=chroot", *settings, *mounts, self.name), "--", *words],
            text=True,
            capture_output=True,
            check=False,
            env=tool_environment(),
            timeout=120,
        )


@contextmanager
def own_storage(folder: Path) -> Iterator[Buildah]:
    """A buildah whose images are gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    buildah = Buildah(folder)
    try:
        yield buildah
    finally:
        buildah("rm", "--all")
        buildah("rmi", "--all", "--force")
        shutil.rmtree(folder, ignore_errors=True)


def debian_base(buildah: Buildah, tag: str) -> None:
    """A small Debian with Python, as an image."""
    container = buildah("from", "scratch").strip()
    root = buildah("mount", container).strip()
    mirror = _output("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").split()[0]
    _output("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root, mirror)
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(Path(root, folder))
        Path(root, folder).mkdir()
    buildah("umount", container)
    buildah("commit", "--quiet", "--rm", container, tag)


def _output(*command: str | Path) -> str:
    words = [*map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=tool_environment(), timeout=PATIENCE)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {(done.stderr or done.stdout)[-2000:].strip()}")
    return done.stdout


def _index() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    return f"index-url = {done.stdout.strip()}\n" if done.returncode == 0 else ""
