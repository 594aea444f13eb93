"""ComfyUI finds every model through our extra_model_paths.yaml: by its own rules, read here from its code."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from prefetch.comfyui.kinds import FOLDERS, STOCK_WORKER_FOLDERS
from prefetch.comfyui.paths import extra_model_paths, parse_kind
from prefetch.comfyui.stock import is_seen, stock_path
from prefetch.comfyui.workflow import load_table
from prefetch.manifest import load_manifests
from tests.support.commands import Commands

SEED = Path(__file__).parent.parent / "manifests" / "wan22-i2v-lightning.yaml"
TORCH = {".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"}
RENAMED = {"unet": "diffusion_models", "clip": "text_encoders"}


class ComfyUI:
    """What folder_paths.py and utils/extra_config.py make of the file: kinds with their folders, in order."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[list[str], set[str]]] = {
            kind: ([f"/comfyui/models/{name}" for name in names], set(TORCH)) for kind, names in FOLDERS.items()
        }

    def load(self, text: str, beside: str = "/comfyui") -> None:
        for section in yaml.safe_load(text).values():
            if section is None:
                continue
            base = os.path.expandvars(os.path.expanduser(section.pop("base_path", "")))  # noqa: PTH111
            first = section.pop("is_default", False)
            for kind, value in section.items():
                for line in value.split("\n"):
                    if line:
                        self._add(kind, os.path.normpath(os.path.join(beside, base, line)), first)

    def _add(self, kind: str, folder: str, first: bool) -> None:
        folders, _ = self.kinds.setdefault(RENAMED.get(kind, kind), ([], set()))
        if folder in folders:
            folders.remove(folder)
        folders.insert(0 if first else len(folders), folder)

    def register_gguf(self) -> None:
        """ComfyUI-GGUF's kinds take their folders from others when the node is loaded."""
        for kind, of in (("unet_gguf", "diffusion_models"), ("clip_gguf", "text_encoders")):
            self.kinds[kind] = (list(self.kinds[of][0]), {".gguf"})

    def names(self, kind: str) -> list[str]:
        """What a loader of this kind lists, by following the folders as os.walk does."""
        folders, suffixes = self.kinds[kind]
        found = []
        for folder in folders:
            for here, _, files in os.walk(folder, followlinks=True):
                names = (os.path.relpath(os.path.join(here, file), folder) for file in files)
                found += [name for name in names if not suffixes or Path(name).suffix.lower() in suffixes]
        return found


SEED_LOADERS = {
    "models/diffusion_models/": "unet_gguf",
    "models/text_encoders/": "clip_gguf",
    "models/vae/": "vae",
    "models/loras/": "loras",
}


@pytest.mark.parametrize("mount", ["first", "second"])
@pytest.mark.parametrize("legacy", [False, True])
def test_every_model_of_the_seed_is_listed_by_its_loader(
    commands: Commands, tmp_path: Path, mount: str, legacy: bool
) -> None:
    volumes = {name: tmp_path / name for name in ("first", "second")}
    paths = [entry.model.path for entry in load_manifests([SEED]).entries]
    for path in paths:
        file = volumes[mount] / (stock_path(path) if legacy else path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    done = commands.run("comfyui", "paths", "--volume", volumes["first"], "--volume", volumes["second"])
    comfyui = ComfyUI()
    comfyui.load(done.stdout)
    comfyui.register_gguf()
    listed = {
        path
        for path in paths
        for start, kind in SEED_LOADERS.items()
        if path.startswith(start) and path.removeprefix(start) in comfyui.names(kind)
    }
    assert set(paths) - listed == {path for path in paths if path.startswith("models/vfi/")}


def test_without_a_volume_both_of_runpods_mounts_are_there_and_the_first_is_preferred(commands: Commands) -> None:
    comfyui = ComfyUI()
    comfyui.load(commands.run("comfyui", "paths").stdout)
    folders = comfyui.kinds["diffusion_models"][0]
    assert {"/runpod-volume/models/diffusion_models", "/workspace/models/unet"} <= set(folders)
    assert folders.index("/runpod-volume/models/diffusion_models") < folders.index("/comfyui/models/diffusion_models")
    for kind, names in FOLDERS.items():
        wanted = {f"{volume}/models/{name}" for volume in ("/runpod-volume", "/workspace") for name in names}
        assert wanted <= set(comfyui.kinds[kind][0])


def test_the_kinds_of_node_packs_are_mapped_to_their_directories(commands: Commands) -> None:
    comfyui = ComfyUI()
    comfyui.load(commands.run("comfyui", "paths", "--volume", "/v", "--kind", "ultralytics").stdout)
    known = {key: kind for key, kind in load_table().kinds.items() if key not in FOLDERS}
    for key, kind in known.items():
        wanted = [f"{root}/models/{folder}" for root in ("/v", "/comfyui") for folder in kind.folders]
        assert kind.fixed or comfyui.kinds[key][0] == wanted
    assert comfyui.kinds["ultralytics_bbox"][0][0] == "/v/models/ultralytics/bbox"
    assert comfyui.kinds["ultralytics_segm"][0][0] == "/v/models/ultralytics/segm"
    assert comfyui.kinds["llm"][0][0] == "/v/models/LLM"
    assert "facerestore_models" not in comfyui.kinds, "ReActor sets its own, and would not look"
    asked = commands.run("comfyui", "paths", "--volume", "/v", "--kind", "xlabs_loras=models/x")
    assert "xlabs_loras: its node pack sets models/xlabs/loras below ComfyUI's own folder alone" in asked.stderr


def test_what_lies_in_comfyuis_own_folders_stays_listed(commands: Commands, tmp_path: Path) -> None:
    """ComfyUI_IPAdapter_plus and others add their own folder only where nobody has named their kind."""
    comfyui = ComfyUI()
    comfyui.load(commands.run("comfyui", "paths", "--volume", tmp_path / "v").stdout, beside=str(tmp_path / "comfyui"))
    for folder in ("v", "comfyui"):
        (tmp_path / folder / "models" / "ipadapter").mkdir(parents=True)
        (tmp_path / folder / "models" / "ipadapter" / f"{folder}.bin").touch()
    comfyui.kinds.setdefault("ipadapter", ([str(tmp_path / "comfyui/models/ipadapter")], set(TORCH)))
    assert sorted(comfyui.names("ipadapter")) == ["comfyui.bin", "v.bin"]


@pytest.mark.parametrize(
    ("files", "sentences"),
    [
        (["loras/x", "ultralytics/bbox/x", "unet/x", "wan/.gitkeep"], ["ComfyUI does not look in {}/models/wan;"]),
        (["llm/x"], ["ComfyUI does not look in {}/models/llm; nodes look in models/LLM: rename the folder."]),
        ([".hidden/x", "empty/"], []),
        (["sam2/x"], ["nodes read models/sam2 below ComfyUI's own folder only, not {}/models/sam2: link it there."]),
        (
            ["xlabs/loras/x"],
            ["nodes read models/xlabs/loras below ComfyUI's own folder only, not {}/models/xlabs/loras"],
        ),
        (["xlabs/x"], ["ComfyUI does not look in {}/models/xlabs; if a node does, name its key:"]),
        (["reactor/faces/x", "CogVideo/loras/x"], ["nodes read models/reactor/faces below ComfyUI's own folder only"]),
        (["a/b/x", "a/c/x"], ["ComfyUI does not look in {}/models/a/c; if a node does, name its key: --kind KEY="]),
    ],
)
def test_folders_of_the_volume_that_comfyui_does_not_see_are_told(
    commands: Commands, tmp_path: Path, files: list[str], sentences: list[str]
) -> None:
    for file in files:
        folder, _, name = f"models/{file}".rpartition("/")
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        if name:
            (tmp_path / folder / name).touch()
    done = commands.run("comfyui", "paths", "--volume", tmp_path, "--kind", "ab=models/a/b")
    assert done.returncode == 0
    told = done.stderr.splitlines()
    assert len(told) == len(sentences), done.stderr
    for line, sentence in zip(told, sentences, strict=True):
        assert sentence.format(tmp_path) in line


def test_a_table_of_ones_own_brings_kinds(commands: Commands, tmp_path: Path) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text("version: 1\nkinds: {mine: My/Models, own: {folder: Own, fixed: true}}\n")
    done = commands.run("comfyui", "paths", "--volume", "/v", "--loaders", table)
    comfyui = ComfyUI()
    comfyui.load(done.stdout)
    assert (
        comfyui.kinds["mine"][0] == ["/v/models/My/Models", "/comfyui/models/My/Models"] and "own" not in comfyui.kinds
    )
    assert "models/Own" in done.stdout


@pytest.mark.parametrize(
    ("written", "kind", "folder"),
    [
        ("ipadapter", "ipadapter", "/v/models/ipadapter"),
        ("ultralytics_bbox=models/ultralytics/bbox", "ultralytics_bbox", "/v/models/ultralytics/bbox"),
        ("loras=shared/loras", "loras", "/v/shared/loras"),
        ("x=a folder/with: colon", "x", "/v/a folder/with: colon"),
    ],
)
def test_kinds_of_custom_nodes(written: str, kind: str, folder: str) -> None:
    comfyui = ComfyUI()
    comfyui.load(extra_model_paths(["/v"], extra=[parse_kind(written)]))
    assert folder in comfyui.kinds[kind][0]


@pytest.mark.parametrize("written", ["", "=x", "a=../b", "a=/b", "base_path=x", "a b", "a=x\ny", "a=.", "a=b\\c"])
def test_what_is_no_kind_is_a_sentence(written: str, commands: Commands) -> None:
    done = commands.run("comfyui", "paths", "--kind", written)
    assert done.returncode == 2
    assert "Write for example: --kind ipadapter" in done.stderr


@pytest.mark.parametrize("volume", ["/v", "/a b", "/100", "/ü: x", "/#", "/yes"])
def test_any_volume_can_be_named(volume: str) -> None:
    comfyui = ComfyUI()
    comfyui.load(extra_model_paths([volume, "/a-b", "/a_b"]))
    assert comfyui.kinds["vae"][0][0] == f"{volume}/models/vae"
    assert {"/a-b/models/vae", "/a_b/models/vae"} <= set(comfyui.kinds["vae"][0])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("models/diffusion_models/wan/x.gguf", "models/unet/wan/x.gguf"),
        ("models/text_encoders/x.gguf", "models/clip/x.gguf"),
        ("models/vae/x.safetensors", "models/vae/x.safetensors"),
        ("models/unet/x.gguf", "models/unet/x.gguf"),
        ("models/t2i_adapter/x.pth", "models/t2i_adapter/x.pth"),
        ("models/audio_encoders/x.safetensors", "models/audio_encoders/x.safetensors"),
        ("other/diffusion_models/x", "other/diffusion_models/x"),
        ("models/diffusion_models", "models/diffusion_models"),
    ],
)
def test_the_stock_images_places(path: str, expected: str) -> None:
    assert stock_path(path) == expected


def test_what_the_stock_image_sees() -> None:
    assert all(is_seen(f"models/{folder}/x") for folder in STOCK_WORKER_FOLDERS)
    assert not is_seen("models/audio_encoders/x") and is_seen("elsewhere/x")


def test_a_run_with_the_stock_layout_puts_models_where_the_stock_image_looks(
    commands: Commands, tmp_path: Path
) -> None:
    source = tmp_path / "weights.gguf"
    source.write_bytes(b"GGUF" + bytes(60))
    volume, manifest = tmp_path / "volume", tmp_path / "m.yaml"
    volume.mkdir()
    folders = ("diffusion_models", "text_encoders", "audio_encoders")
    models = [{"path": f"models/{folder}/{folder}.gguf", "source": source.as_uri()} for folder in folders]
    manifest.write_text(yaml.safe_dump({"version": 1, "models": models}))
    done = commands.run("run", manifest, "--volume", volume, "--layout", "worker-comfyui")
    assert done.returncode == 0, done.stderr
    assert "does not look for models/audio_encoders/audio_encoders.gguf" in done.stderr
    assert {file.relative_to(volume).as_posix() for file in volume.glob("models/*/*")} == {
        "models/unet/diffusion_models.gguf",
        "models/clip/text_encoders.gguf",
        "models/audio_encoders/audio_encoders.gguf",
    }
    for command in (["verify"], ["prune", "--json"]):
        again = commands.run(*command, manifest, "--volume", volume, "--layout", "worker-comfyui")
        assert again.returncode == 0 and "removable" not in again.stdout, again.stderr
    shutil.rmtree(volume)


def test_two_models_that_would_come_to_one_path_are_refused(commands: Commands, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    models = [
        {"path": f"models/{folder}/x.gguf", "source": f"hf://a/{folder}/x.gguf"}
        for folder in ("unet", "diffusion_models")
    ]
    manifest.write_text(yaml.safe_dump({"version": 1, "models": models}))
    done = commands.run("run", manifest, "--volume", tmp_path, "--layout", "worker-comfyui")
    assert done.returncode == 2
    assert '"models/unet/x.gguf" is named in' in done.stderr


def test_a_volume_that_must_be_mounted_and_is_not(commands: Commands, tmp_path: Path) -> None:
    done = commands.run("status", "--volume", tmp_path / "volume")
    assert "Nothing is mounted" not in done.stderr
    done = commands.run("run", SEED, "--volume", tmp_path, "--require-mount")
    assert done.returncode == 2
    assert f"Nothing is mounted at {tmp_path}" in done.stderr
