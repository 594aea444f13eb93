"""The package as a stranger gets it: built from the source archive, installed apart from this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD = "import sys; from flit_core import buildapi; print(getattr(buildapi, sys.argv[1])(sys.argv[2]))"


def build(kind: str, source: Path, target: Path) -> Path:
    """Build the sdist or the wheel of ``source``, as pip does it."""
    words = [sys.executable, "-c", BUILD, f"build_{kind}", str(target)]
    done = subprocess.run(words, cwd=source, check=True, capture_output=True, text=True, timeout=60)
    return target / done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the unpacked source archive."""
    folder = tmp_path_factory.mktemp("package")
    with tarfile.open(build("sdist", ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return build("wheel", source, folder)


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "prefetch"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout.splitlines()
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert set(names) == {name for name in listed if (ROOT / name).exists()}
    assert "prefetch/py.typed" in names


def test_what_is_installed_from_it_works(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=120)
    pip = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, timeout=120)
    # What it depends on is not brought again; a path entry brings packages, not our editable install.
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib"), "HOME": str(tmp_path)}
    for words, begins in (
        (["--version"], "prefetch "),
        (["schema"], "{"),
        (["comfyui", "paths"], "# Where ComfyUI finds"),
        (["plan", "--help"], "usage: prefetch plan"),
    ):
        command = [str(home / "bin/prefetch"), *words]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.startswith(begins)
