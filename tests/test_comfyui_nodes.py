"""Links to models in the folders of custom nodes, whatever those folders are called and whatever stands there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from prefetch.comfyui.nodes import NodeModel, find_comfyui, link_models
from prefetch.errors import UsageError

RIFE = NodeModel("models/vfi/rife/rife47.pth", "custom_nodes/comfyui-frame-interpolation/ckpts/rife/rife47.pth")
BELOW = "ckpts/rife/rife47.pth"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    model = tmp_path / "volume" / RIFE.path
    model.parent.mkdir(parents=True)
    model.write_bytes(b"the model")
    return tmp_path / "volume"


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    (tmp_path / "comfyui" / "custom_nodes").mkdir(parents=True)
    return tmp_path / "comfyui"


def node(comfyui: Path, name: str) -> Path:
    folder = comfyui / "custom_nodes" / name
    folder.mkdir()
    return folder


def link(comfyui: Path, volume: Path, model: NodeModel = RIFE) -> list[str]:
    """What is told while the model is linked."""
    told: list[str] = []
    link_models([model], comfyui=comfyui, volume=volume, tell=told.append)
    return told


@pytest.mark.parametrize(
    "name",
    [
        "comfyui-frame-interpolation",
        "ComfyUI-Frame-Interpolation",
        "ComfyUI_Frame_Interpolation",
        "comfyui-frame-interpolation@1_0_7",
    ],
)
def test_a_node_s_folder_is_found_whatever_it_is_called(comfyui: Path, volume: Path, name: str) -> None:
    node(comfyui, "ComfyUI-Frame")
    node(comfyui, ".disabled")
    place = node(comfyui, name) / BELOW
    assert link(comfyui, volume) == []
    assert place.readlink() == volume / RIFE.path
    assert place.read_bytes() == b"the model"
    inode = place.lstat().st_ino
    assert link(comfyui, volume) == []
    assert place.lstat().st_ino == inode, "what is right is left alone"
    assert not (comfyui / "custom_nodes" / "ComfyUI-Frame" / "ckpts").exists()


def test_a_node_is_known_by_its_registry_s_name(comfyui: Path, volume: Path) -> None:
    (node(comfyui, "Other") / "pyproject.toml").write_text("this is = not [toml")
    (node(comfyui, "Plain") / "pyproject.toml").write_text("project = 1")
    folder = node(comfyui, "VFI-nodes")
    (folder / "pyproject.toml").write_text('[project]\nname = "ComfyUI-Frame-Interpolation"\n')
    assert link(comfyui, volume) == []
    assert (folder / BELOW).samefile(volume / RIFE.path)


def test_every_copy_of_a_node_gets_its_link(comfyui: Path, volume: Path) -> None:
    folders = [node(comfyui, name) for name in ("ComfyUI-Frame-Interpolation", "comfyui-frame-interpolation")]
    assert link(comfyui, volume) == []
    assert all((folder / BELOW).is_symlink() for folder in folders)


def test_a_node_that_is_not_there_is_said(comfyui: Path, volume: Path) -> None:
    node(comfyui, "comfyui-frame-interpolation.disabled")
    assert link(comfyui, volume) == [
        f"{RIFE.node_path} is not linked: {comfyui}/custom_nodes has no folder of that node."
    ]
    assert "no folder of that node" in link(comfyui / "elsewhere", volume)[0]


def test_a_place_outside_the_nodes_is_as_it_is_written(comfyui: Path, volume: Path) -> None:
    assert link(comfyui, volume, NodeModel(RIFE.path, "models/vfi/rife47.pth")) == []
    assert (comfyui / "models/vfi/rife47.pth").read_bytes() == b"the model"


def dangling(place: Path) -> None:
    place.symlink_to("/nowhere/rife47.pth")


def foreign_file(place: Path) -> None:
    place.write_bytes(b"half of a mod")


def foreign_link(place: Path) -> None:
    (place.parent / "other").write_bytes(b"other")
    place.symlink_to("other")


def folder(place: Path) -> None:
    (place / "inside").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (dangling, "led to /nowhere/rife47.pth, where nothing is"),
        (foreign_file, "was something else; it is kept as rife47.pth.before-prefetch"),
        (foreign_link, "was something else; it is kept as rife47.pth.before-prefetch"),
        (folder, "was something else; it is kept as rife47.pth.before-prefetch"),
    ],
)
def test_what_stands_there_gives_way_and_is_said(
    comfyui: Path, volume: Path, make: Callable[[Path], None], told: str
) -> None:
    place = node(comfyui, "comfyui-frame-interpolation") / BELOW
    place.parent.mkdir(parents=True)
    make(place)
    (place.parent / "rife47.pth.before-prefetch.1").write_text("kept earlier")
    [said] = link(comfyui, volume)
    assert told in said
    assert place.samefile(volume / RIFE.path)
    assert link(comfyui, volume) == []
    kept = place.with_name("rife47.pth.before-prefetch")
    assert os.path.lexists(kept) is (make is not dangling)
    if make is foreign_file:
        assert kept.read_bytes() == b"half of a mod"
    assert (place.parent / "rife47.pth.before-prefetch.1").read_text() == "kept earlier"


def test_the_model_s_own_copy_by_hard_link_is_left(comfyui: Path, volume: Path) -> None:
    place = node(comfyui, "comfyui-frame-interpolation") / BELOW
    place.parent.mkdir(parents=True)
    place.hardlink_to(volume / RIFE.path)
    assert link(comfyui, volume) == []
    assert not place.is_symlink()


def test_a_link_on_the_way_that_leads_nowhere_gives_way(comfyui: Path, volume: Path) -> None:
    folder = node(comfyui, "comfyui-frame-interpolation")
    (folder / "ckpts").symlink_to("/nowhere")
    [said] = link(comfyui, volume)
    assert said == f"{folder}/ckpts led to /nowhere, where nothing is; it is a folder now."
    assert (folder / BELOW).samefile(volume / RIFE.path)


def test_a_file_on_the_way_is_said_and_left(comfyui: Path, volume: Path) -> None:
    folder = node(comfyui, "comfyui-frame-interpolation")
    (folder / "ckpts").write_text("a file")
    assert link(comfyui, volume) == [f"{folder}/{BELOW} could not be linked to {RIFE.path}: File exists."]
    assert (folder / "ckpts").read_text() == "a file"


@pytest.mark.parametrize("name", ["__init__.py", "nodes.so", "js/x.js", "requirements.txt", "ckpts/none"])
def test_no_link_can_be_run(comfyui: Path, volume: Path, name: str) -> None:
    folder = node(comfyui, "comfyui-frame-interpolation")
    [said] = link(comfyui, volume, NodeModel(RIFE.path, f"custom_nodes/comfyui-frame-interpolation/{name}"))
    assert "could be run as a program" in said
    assert list(folder.iterdir()) == []


def test_on_the_volume_a_link_holds_wherever_it_is_mounted(volume: Path, tmp_path: Path) -> None:
    comfyui = volume / "ComfyUI"
    (comfyui / "custom_nodes").mkdir(parents=True)
    node(comfyui, "comfyui-frame-interpolation")
    assert link(comfyui, volume) == []
    volume.rename(tmp_path / "elsewhere")
    place = tmp_path / "elsewhere/ComfyUI/custom_nodes/comfyui-frame-interpolation" / BELOW
    assert place.read_bytes() == b"the model"


def test_comfyui_is_where_it_is_said_or_usually_is(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert find_comfyui(None, places=(first, second)) is None
    second.mkdir()
    assert find_comfyui(None, places=(first, second)) == second
    assert find_comfyui(second, places=()) == second
    with pytest.raises(UsageError, match="is no directory"):
        find_comfyui(first)
