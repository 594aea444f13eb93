"""The volume as a directory: opened without a trace, and never left, whatever links stand on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from prefetch import __version__
from prefetch.errors import PrefetchError, UsageError, VolumeError
from prefetch.volume import files
from prefetch.volume.layout import Volume
from prefetch.volume.looking import Looking


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "volume"


@pytest.fixture
def volume(root: Path) -> Volume:
    return Volume.open(root, create=True)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("secret")
    return tmp_path / "outside"


def test_looking_leaves_no_trace(volume: Volume) -> None:
    assert volume.stat("models/x") is None
    with volume.reading("partial") as directory:
        assert directory is None
    Volume.open(volume.root)
    assert list(volume.root.iterdir()) == []


def test_the_format_is_noted_with_the_first_write(volume: Volume) -> None:
    with volume.writing("inventory"):
        pass
    assert (volume.state / "FORMAT").read_text() == "1\n"
    assert sorted(path.name for path in volume.state.iterdir()) == ["FORMAT", "inventory"]
    Volume.open(volume.root)


def test_a_missing_directory_is_no_volume(root: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Volume.open(root)
    assert not root.exists()


def test_a_file_is_no_volume(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for create in (True, False):
        with pytest.raises(UsageError):
            Volume.open(tmp_path / "file", create=create)


def test_a_link_to_a_volume_is_followed(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(volume.root)
    assert Volume.open(tmp_path / "link") == volume
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError):
        Volume.open(tmp_path / "loop")


def test_a_newer_format_is_refused_by_name(volume: Volume) -> None:
    volume.prepare()
    (volume.state / "FORMAT").write_text("2\n")
    with pytest.raises(UsageError, match=f"format 2; prefetch {__version__} is too old"):
        Volume.open(volume.root)


@pytest.mark.parametrize("text", ["", "one", "-1", "0", "\xff"])
def test_a_format_that_is_none_is_refused(volume: Volume, text: str) -> None:
    volume.prepare()
    (volume.state / "FORMAT").write_text(text)
    with pytest.raises(UsageError, match="not written by prefetch"):
        Volume.open(volume.root)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda file: file.write_text("1\n" * 64)])
def test_a_format_that_is_no_small_file_is_refused(volume: Volume, make: Callable[[Path], object]) -> None:
    volume.state.mkdir()
    make(volume.state / "FORMAT")
    with pytest.raises(UsageError, match="not written by prefetch"):
        Volume.open(volume.root)


def test_a_state_directory_without_a_format_was_just_being_made(volume: Volume) -> None:
    volume.state.mkdir()
    volume.prepare()
    assert (volume.state / "FORMAT").read_text() == "1\n"
    Volume.open(volume.root)


@pytest.mark.parametrize("make", [Path.touch, lambda state: state.symlink_to("/tmp")], ids=["file", "link"])
def test_state_that_is_no_directory_is_refused(volume: Volume, make: Callable[[Path], None]) -> None:
    make(volume.state)
    with pytest.raises(UsageError, match="prefetch's own"):
        Volume.open(volume.root)
    with pytest.raises(VolumeError):
        volume.prepare()


def test_a_link_inside_the_state_is_not_followed(volume: Volume, outside: Path) -> None:
    volume.prepare()
    (volume.state / "partial").symlink_to(outside)
    with pytest.raises(NotADirectoryError), volume.writing("partial"):
        pass
    with pytest.raises(NotADirectoryError), volume.reading("partial"):
        pass


def test_stat_finds_regular_files_only(volume: Volume) -> None:
    (volume.root / "models").mkdir()
    (volume.root / "models/x").write_bytes(b"12345")
    os.mkfifo(volume.root / "models/pipe")
    found = volume.stat("models/x")
    assert found is not None
    assert found.st_size == 5
    assert [volume.stat(path) for path in ("models", "models/pipe", "models/y", "models/x/y")] == [None] * 4


def test_links_that_stay_are_followed(volume: Volume) -> None:
    (volume.root / "store").mkdir()
    (volume.root / "store/x").write_bytes(b"12345")
    (volume.root / "models").symlink_to("store")
    (volume.root / "y").symlink_to(volume.root / "models/x")
    for path in ("models/x", "y"):
        found = volume.stat(path)
        assert found is not None
        assert found.st_size == 5
        number = volume.open_file(path)
        assert os.pread(number, 9, 0) == b"12345"
        os.close(number)
    os.close(volume.directory("models/sub/z"))
    assert (volume.root / "store/sub").is_dir()


@pytest.mark.parametrize("path", ["models/x", "models/sub/x"])
def test_a_directory_link_that_leaves_is_named(volume: Volume, outside: Path, path: str) -> None:
    (volume.root / "models").symlink_to(outside)
    assert volume.stat(path) is None
    for use in (volume.directory, volume.open_file, volume.check_target):
        with pytest.raises(VolumeError, match=r"^models is a symbolic link that leads to"):
            use(path)
    assert [entry.name for entry in outside.iterdir()] == ["x"]


@pytest.mark.parametrize("target", ["../outside/x", "../outside/nothing", ".prefetch/FORMAT", "/etc/hostname"])
def test_a_file_link_that_leaves_is_named(volume: Volume, outside: Path, target: str) -> None:
    volume.prepare()
    (volume.root / "x").symlink_to(target)
    assert volume.stat("x") is None
    for use in (volume.open_file, volume.check_target):
        with pytest.raises(VolumeError, match=r"^x is a symbolic link that leads to"):
            use("x")


def test_a_component_swapped_for_a_link_leads_nowhere(
    volume: Volume, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(volume.directory("models/vae/x"))
    make = files.make_directory

    def swap(name: str, *, dir_fd: int) -> int:
        if name == "vae":
            (volume.root / "models/vae").rmdir()
            (volume.root / "models/vae").symlink_to(outside)
        return make(name, dir_fd=dir_fd)

    monkeypatch.setattr(files, "make_directory", swap)
    with pytest.raises(VolumeError):
        volume.directory("models/vae/x")


@pytest.mark.parametrize(
    ("make", "path", "message"),
    [
        (lambda root: (root / "models/x").mkdir(parents=True), "models/x", "models/x is a directory"),
        (lambda root: (root / "models").touch(), "models/x", "models on the way to models/x is not a directory"),
        (lambda root: os.mkfifo(root / "x"), "x", "x is no regular file"),
    ],
)
def test_what_is_in_the_way_is_named(volume: Volume, make: Callable[[Path], None], path: str, message: str) -> None:
    make(volume.root)
    with pytest.raises(VolumeError, match=message):
        volume.check_target(path)


def test_nothing_is_in_the_way_of_a_new_or_a_standing_file(volume: Volume) -> None:
    volume.check_target("models/x")
    os.close(volume.directory("models/x"))
    (volume.root / "models/x").touch()
    (volume.root / "models/y").symlink_to("gone")
    volume.check_target("models/x")
    volume.check_target("models/y")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", ".prefetch/FORMAT", "a\0b"])
def test_no_method_takes_a_path_that_is_none_of_a_model(volume: Volume, path: str) -> None:
    for use in (volume.stat, volume.directory, volume.open_file, volume.check_target):
        with pytest.raises(ValueError, match="the path"):
            use(path)


def test_a_link_to_the_volume_itself_is_no_model(volume: Volume) -> None:
    (volume.root / "x").symlink_to(".")
    assert volume.stat("x") is None
    with pytest.raises(PrefetchError):
        volume.open_file("x")


def test_looking_at_many_finds_what_looking_at_one_finds(volume: Volume, outside: Path) -> None:
    root = volume.root
    (root / "models/vae").mkdir(parents=True)
    (root / "models/vae/x").write_bytes(b"x")
    (root / "models/link").symlink_to("vae/x")
    (root / "models/out").symlink_to(outside / "x")
    (outside / "x").write_bytes(b"x")
    (root / "alias").symlink_to("models")
    (root / "away").symlink_to(outside)
    (root / "itself").symlink_to(".")
    (root / "loop").symlink_to("loop")
    with volume.writing("tmp"):
        (root / "state").symlink_to(".prefetch")
    names = ("x", "vae", "vae/x", "link", "out", "none", "loop", "vae/x/y", "tmp", "FORMAT", "models/vae/x")
    parents = ("", "models/", "alias/", "away/", "itself/", "state/", "none/", "models/vae/")
    looking = Looking(volume)
    found = {f"{parent}{name}": looking.stat(f"{parent}{name}") for parent in parents for name in names}
    assert found == {path: volume.stat(path) for path in found}
    assert {path for path, stat in found.items() if stat is not None} >= {"alias/link", "itself/models/vae/x"}


def test_looking_follows_the_way_to_a_directory_once(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    (volume.root / "models").mkdir()
    for number in range(100):
        (volume.root / f"models/{number}").write_bytes(b"x")
    looked = Counter[str]()
    lstat = os.lstat

    def counting(path: str) -> os.stat_result:
        looked[str(path)] += 1
        return lstat(path)

    monkeypatch.setattr(os, "lstat", counting)
    looking = Looking(volume)
    assert all(looking.stat(f"models/{number}") for number in range(100))
    assert sum(looked.values()) <= 100 + 2 * len(volume.root.parts)
