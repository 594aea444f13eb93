"""Which paths are paths of models, and which directory is the volume."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import UsageError
from prefetch.volume.layout import check_model_path, find_volume

MOUNTINFO = r"""
22 28 0:20 / /proc rw,nosuid - proc proc rw
31 28 0:25 / /workspace rw,relatime - fuse mfs#host:9421 rw
32 28 0:26 / /mnt/with\040blank\134 rw - ext4 /dev/sda1 rw
garbage
"""


@pytest.mark.parametrize(
    "path",
    [
        "x.safetensors",
        "models/vae/x.safetensors",
        "models/ä/模型.gguf",
        "a b/c:d",
        "models/.prefetch/x",
        "..a/b..",
        "a" * 255,
    ],
)
def test_paths_that_are_fine(path: str) -> None:
    check_model_path(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/models/x", "absolute"),
        ("../x", "'..'"),
        ("models/../x", "'..'"),
        ("models//x", "empty component"),
        ("./x", "'.'"),
        ("models/./x", "'.'"),
        ("models/x/", "slash"),
        ("models\\x", "backslash"),
        ("models/\0", "control"),
        ("models/a\nb", "control"),
        ("models/\x7f", "control"),
        ("models/\x9b31m", "control"),
        ("C:/x", "drive"),
        ("c:x", "drive"),
        (".prefetch/x", "state"),
        (".Prefetch/x", "state"),
        (".prefetch2/x", "state"),
        (".prefetch", "state"),
        ("a" * 256, "255 bytes"),
        ("ä" * 128, "255 bytes"),
        ("/".join(["a" * 200] * 6), "1024 bytes"),
        ("models/\ud800", "no file name"),
    ],
)
def test_paths_that_are_refused(path: str, reason: str) -> None:
    with pytest.raises(ValueError, match="the path") as refused:
        check_model_path(path)
    assert reason in str(refused.value)
    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 700


@given(st.text(alphabet=st.sampled_from("ab./\\:\0\n.prefetchÄ"), max_size=30) | st.text(max_size=30))
def test_an_accepted_path_stays_where_it_belongs(path: str) -> None:
    try:
        check_model_path(path)
    except ValueError:
        return
    parts = PurePosixPath(path).parts
    assert "/".join(parts) == path
    assert not {"..", ".", "/"} & set(parts)
    assert not parts[0].casefold().startswith(".prefetch")
    path.encode()


def test_a_given_volume_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find_volume(tmp_path / "nowhere", mountinfo=tmp_path / "none") == tmp_path / "nowhere"


@pytest.mark.parametrize(
    ("candidates", "found"),
    [
        (("/runpod-volume", "/workspace"), "/workspace"),
        (("/proc", "/workspace"), "/proc"),
        (("/mnt/with blank\\",), "/mnt/with blank\\"),
    ],
)
def test_the_first_mount_point_is_the_volume(tmp_path: Path, candidates: tuple[str, ...], found: str) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTINFO)
    assert find_volume(None, mountinfo=mountinfo, candidates=candidates) == Path(found)


@pytest.mark.parametrize("present", [True, False])
def test_a_directory_that_is_not_mounted_is_no_volume(tmp_path: Path, present: bool) -> None:
    mountinfo = tmp_path / "mountinfo"
    if present:
        mountinfo.write_text(MOUNTINFO)
    with pytest.raises(UsageError, match="--volume"):
        find_volume(None, mountinfo=mountinfo, candidates=(str(tmp_path), "/proc/self"))
