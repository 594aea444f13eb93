"""From a fat image to a manifest: what an audit finds is written down, and a run brings it to a volume."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.comfyui.catalog import Catalog, Offer
from prefetch.comfyui.workflow import load_table
from prefetch.demo.server import DemoServer, running_origin
from prefetch.image.accounts import ModelAccount, account
from prefetch.image.archive import read_image
from prefetch.manifest import load_manifests
from prefetch.salvage import Left, Salvage, manifest_text, salvage
from tests.support.commands import Commands
from tests.support.images import LayerMaker, docker_archive
from tests.support.models import Wanted, repo_of, sha256_of, wanted, write_manifest

TABLE = load_table()
MODELS = [*wanted(*(20_000 + 1_000 * number for number in range(9))), *wanted(29_000, kind="pth")]
VAE, MOVED, DELETED, TWICE, OVERWRITTEN, LOCKED, NAMED, STRANGER, PACKAGED, NODE = MODELS
NODE_PATH = "custom_nodes/ComfyUI-Frame-Interpolation/ckpts/rife/rife47.pth"


def body(model: Wanted) -> bytes:
    return b"".join(map(bytes, model.content.views(0, model.content.size)))


def fat_image(path: Path) -> Path:
    """Fifteen layers in which models are repeated, moved, deleted and overwritten."""
    layers = [LayerMaker("FROM base").file("etc/base", b"b" * 5_000)]
    places = {
        "comfyui/models/vae/vae.st": VAE,
        "tmp/moved.st": MOVED,
        "comfyui/models/vae/deleted.st": DELETED,
        "comfyui/models/vae/twice.st": TWICE,
        "comfyui/models/vae/over.st": OVERWRITTEN,
        "comfyui/models/loras/locked.st": LOCKED,
        "comfyui/models/loras/named.st": NAMED,
        "comfyui/models/loras/stranger.st": STRANGER,
        "opt/venv/lib/python3.12/site-packages/face/models/x.st": PACKAGED,
        f"comfyui/{NODE_PATH}": NODE,
    }
    layers += [LayerMaker(f"COPY {place}").file(place, body(model)) for place, model in places.items()]
    layers.append(LayerMaker("RUN mv").file("comfyui/models/vae/moved.st", body(MOVED)).delete("tmp/moved.st"))
    layers.append(LayerMaker("RUN rm").delete("comfyui/models/vae/deleted.st"))
    layers.append(LayerMaker("RUN cp").file("comfyui/models/checkpoints/twice.st", body(TWICE)))
    layers.append(LayerMaker("RUN again").file("comfyui/models/vae/over.st", body(VAE)))
    assert len(layers) == 15
    return docker_archive(path, layers)


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


def known(commands: Commands, origin: DemoServer) -> str:
    """Catalogs: one pins by hash, one by its lock, one only names a source."""
    folder = commands.home
    pinned = [model.entry(path=f"models/other/{model.name}") for model in (VAE, MOVED, DELETED, TWICE, OVERWRITTEN)]
    node = NODE.entry(path="models/vfi/rife/rife47.pth", node_path=NODE_PATH.lower())
    write_manifest(folder / "a.yaml", [*pinned, node])
    locked = write_manifest(folder / "b.yaml", [LOCKED.entry(path="models/loras/l.st", sha256=None, size=None)])
    assert commands.run("lock", locked, env={"HF_ENDPOINT": origin.endpoint}).returncode == 0
    named = write_manifest(folder / "c.yaml", [NAMED.entry(path="models/loras/named.st", sha256=None, size=None)])
    return f"{folder / 'a.yaml'},{locked},{named}"


def test_a_fat_image_becomes_a_manifest_that_fills_a_volume(commands: Commands, origin: DemoServer) -> None:
    env = {"HF_ENDPOINT": origin.endpoint, "PREFETCH_CATALOG": known(commands, origin)}
    archive, output = fat_image(commands.home / "i.tar"), commands.home / "m.yaml"
    outcome = commands.run("image", "audit", archive, "--manifest", output, "--json", env=env)
    assert outcome.returncode == 1, "some are not resolved"
    assert "m.yaml: 7 models with a source, 2 without; 1 of Python packages left out." in outcome.stderr

    places = {
        "models/checkpoints/twice.st": TWICE,
        "models/loras/locked.st": LOCKED,
        "models/vae/moved.st": MOVED,
        "models/vae/over.st": VAE,
        "models/vae/twice.st": TWICE,
        "models/vae/vae.st": VAE,
    }
    pinned = {path: model.entry(path=path) for path, model in places.items()}
    node = NODE.entry(path="models/vfi/rife/rife47.pth", node_path=NODE_PATH)
    document = outcome.document
    assert {entry["path"]: entry for entry in document["manifest"]["added"]} == {**pinned, node["path"]: node}
    assert [left["path"] for left in document["manifest"]["open"]] == [
        "models/loras/named.st",
        "models/loras/stranger.st",
    ]
    assert (document["ok"], document["exit_code"], document["error"]["code"]) == (False, 1, "failed")

    volume = commands.home / "volume"
    volume.mkdir()
    planned = commands.run("plan", output, "--volume", volume, "--json", env=env)
    assert planned.returncode == 0 and planned.models.keys() == {*pinned, node["path"]}
    assert commands.run("lock", output, env=env).returncode == 0

    # What a person does: the lines uncommented, and a source for the one that has none.
    text = re.sub(r"^# (?=[# ])", "", output.read_text(), flags=re.MULTILINE)
    output.write_text(re.sub(r"source:$", f"source: {STRANGER.source}", text, flags=re.MULTILINE))
    filled = commands.run("run", output, "--volume", volume, env=env)
    assert filled.returncode == 0, filled.stderr
    for path, model in {**places, "models/loras/named.st": NAMED, "models/loras/stranger.st": STRANGER}.items():
        assert sha256_of(volume / path) == model.content.sha256


def test_without_a_catalog_every_model_is_left_to_the_reader_and_none_is_lost(commands: Commands) -> None:
    archive, output = fat_image(commands.home / "i.tar"), commands.home / "m.yaml"
    outcome = commands.run("image", "audit", archive, "--manifest", output)
    assert (outcome.returncode, "copies" in outcome.stdout) == (1, True)
    assert "9 models of the image not resolved: see the comments in" in outcome.stderr
    assert not load_manifests([output]).entries
    output.write_text(re.sub(r"^# (?=[# ])", "", output.read_text(), flags=re.MULTILINE))
    assert len(load_manifests([output]).open) == 9


@pytest.mark.parametrize("name", ["there.yaml", "link.yaml", "nowhere/m.yaml"])
def test_nothing_is_written_over_and_that_is_said_before_the_image_is_read(commands: Commands, name: str) -> None:
    (commands.home / "there.yaml").write_text("mine\n")
    (commands.home / "link.yaml").symlink_to("dangling.yaml")
    outcome = commands.run("image", "audit", "no-such-image.tar", "--manifest", name)
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert re.search(rf"{name} (is there already, and is not written over|cannot be written)\.", outcome.stderr)
    assert (commands.home / "there.yaml").read_text() == "mine\n"
    assert not (commands.home / "dangling.yaml").exists()


def test_what_is_not_resolved_outlives_a_workflow_that_is_added(commands: Commands) -> None:
    output = commands.home / "m.yaml"
    commands.run("image", "audit", fat_image(commands.home / "i.tar"), "--manifest", output)
    left = [line for line in output.read_text().splitlines() if "path:" in line]
    nodes = {
        "1": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": "a.safetensors"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    (commands.home / "w.json").write_text(json.dumps(nodes))
    outcome = commands.run("workflow", "manifest", commands.home / "w.json", "-o", output)
    assert outcome.returncode == 1, outcome.stderr
    assert set(left) < set(output.read_text().splitlines())


def test_the_table_has_each_models_size_hash_and_number_of_copies(commands: Commands) -> None:
    outcome = commands.run("image", "audit", fat_image(commands.home / "i.tar"))
    rows = [line.split() for line in outcome.stdout.splitlines() if TWICE.content.sha256[:12] in line]
    places = ["comfyui/models/checkpoints/twice.st,", "comfyui/models/vae/twice.st"]
    assert rows == [["2", "23.0", "kB", "safetensors", TWICE.content.sha256[:12], *places]]


def test_an_image_comes_through_a_pipe_too(commands: Commands) -> None:
    words = [*commands.argv("image", "audit", "/dev/stdin", "--json")]
    with (
        fat_image(commands.home / "i.tar").open("rb") as archive,
        subprocess.Popen(["cat"], stdin=archive, stdout=subprocess.PIPE) as cat,
    ):
        done = subprocess.run(words, stdin=cat.stdout, env=commands.environment(), capture_output=True, check=True)
    assert len(json.loads(done.stdout)["models"]) == len(MODELS)


def test_memory_does_not_grow_with_the_archive(commands: Commands) -> None:
    bounded = replace(commands, prefix=("prlimit", "--as=600000000"))
    archive = sparse_archive(commands.home / "i.tar", size=1 << 30)
    outcome = bounded.run("image", "audit", archive, "--json")
    (model,) = outcome.document["models"]
    assert (model["size"], model["format"]) == (1 << 30, "gguf")


def sparse_archive(path: Path, *, size: int) -> Path:
    """A saved image of one layer with one model, of which a disk holds the first bytes only."""
    small = docker_archive(path, [LayerMaker().file("models/x.gguf", b"GGUF" + bytes(508))]).read_bytes()
    outer, inner = tarfile.TarInfo.frombuf(small[:512], "utf-8", ""), tarfile.TarInfo("models/x.gguf")
    rest = small[512 + -(-outer.size // 512) * 512 :]
    inner.size, outer.size = size, 512 + size + 1024
    with path.open("wb") as file:
        file.write(outer.tobuf() + inner.tobuf() + b"GGUF")
        file.seek(size - 4 + 1024, os.SEEK_CUR)
        file.write(rest)
    return path


# Models in a cache of the Hub -----------------------------------------------------------------------------------------

COMMIT = "32bd64288804d66eefd0ccbe215aa642df71cc41"
REPOSITORY = "models--openai--clip-vit-large-patch14"
SOURCE = f"hf://openai/clip-vit-large-patch14@{COMMIT}/model.safetensors"
LINK = "comfyui/models/clip_vision/clip.safetensors"


def cached(hub: str, *, copied: bool = False) -> LayerMaker:
    """A layer with a cache below ``hub``, as ``hf download`` leaves it, or as a copy that follows links does."""
    folder, content = f"{hub}/{REPOSITORY}", body(VAE)
    if copied:
        return LayerMaker("COPY --from").file(f"{folder}/snapshots/{COMMIT}/model.safetensors", content)
    blob = f"blobs/{VAE.content.sha256}"
    layer = LayerMaker("RUN hf download").file(f"{folder}/{blob}", content)
    return layer.symlink(f"{folder}/snapshots/{COMMIT}/model.safetensors", f"../../{blob}")


def salvaged(folder: Path, *layers: LayerMaker) -> tuple[list[Any], list[Left]]:
    """What the manifest of an image has, and what it leaves open."""
    image = read_image(docker_archive(folder / "i.tar", layers))
    found = salvage(account([layer.contents for layer in image]).models, Catalog(), TABLE)
    return [*found.entries], [*found.left]


HUBS = ["root/.cache/huggingface/hub", "workspace/hf/hub", "comfyui/models/hub", "opt/hub"]


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("upwards", [False, True])
@pytest.mark.parametrize("link_first", [False, True])
def test_a_model_in_the_hubs_cache_stands_where_its_link_stands(
    tmp_path: Path, hub: str, *, copied: bool, upwards: bool, link_first: bool
) -> None:
    target = f"{hub}/{REPOSITORY}/snapshots/{COMMIT}/model.safetensors"
    link = LayerMaker("RUN ln -s").symlink(LINK, f"../../../{target}" if upwards else f"/{target}")
    layers = [cached(hub, copied=copied), link]
    added, left = salvaged(tmp_path, *(reversed(layers) if link_first else layers))
    assert added == [VAE.entry(path="models/clip_vision/clip.safetensors", source=SOURCE)]
    assert left == []


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (LINK, f"/{HUBS[0]}/{REPOSITORY}/blobs/{VAE.content.sha256}"),
        ("comfyui/models/clip_vision/x", f"/{HUBS[0]}/{REPOSITORY}/snapshots/{COMMIT}"),
        ("comfyui/models/clip_vision", f"/{HUBS[0]}/{REPOSITORY}/snapshots/{COMMIT}/"),
        (LINK, "/hub/./../snapshots/model"),
    ],
)
def test_links_to_blobs_to_folders_and_over_links(tmp_path: Path, path: str, target: str) -> None:
    more = LayerMaker().symlink("hub", f"{HUBS[0]}/{REPOSITORY}/snapshots/../snapshots")
    more.symlink(f"{HUBS[0]}/{REPOSITORY}/snapshots/model", f"{COMMIT}/model.safetensors")
    added, left = salvaged(tmp_path, cached(HUBS[0]), more, LayerMaker("RUN ln -s").symlink(path, target))
    where = path.removeprefix("comfyui/")
    expected = where if where.endswith(".safetensors") else f"{where}/model.safetensors"
    assert (added, left) == ([VAE.entry(path=expected, source=SOURCE)], [])


@pytest.mark.parametrize("hub", HUBS)
def test_without_a_link_the_place_is_left_open_and_the_source_is_not(tmp_path: Path, hub: str) -> None:
    layers = [cached(hub), LayerMaker().symlink(LINK, "/nowhere"), LayerMaker().delete(LINK)]
    added, left = salvaged(tmp_path, *layers, LayerMaker().symlink("root/models.link", f"/{hub}"))
    assert (added, len(left)) == ([], 1)
    assert (left[0].entry.get("path"), left[0].entry["source"]) == (None, SOURCE)
    assert "no link in a folder of models leads there" in left[0].reason


def test_a_model_that_only_its_suffix_tells_is_found_by_its_link(tmp_path: Path) -> None:
    content = b"\x08\x07\x12\x07pytorch" + bytes(2_000_000)
    sha256 = hashlib.sha256(content).hexdigest()
    folder = f"{HUBS[0]}/models--a--b"
    layer = LayerMaker().file(f"{folder}/blobs/{sha256}", content).symlink("c/models/onnx/x.onnx", f"/{folder}/s")
    added, _ = salvaged(
        tmp_path,
        layer.symlink(f"{folder}/s", f"snapshots/{COMMIT}/sub/x.onnx").symlink(
            f"{folder}/snapshots/{COMMIT}/sub/x.onnx", f"../../../blobs/{sha256}"
        ),
    )
    assert [(entry["path"], entry["source"]) for entry in added] == [
        ("models/onnx/x.onnx", f"hf://a/b@{COMMIT}/sub/x.onnx")
    ]


def test_folders_linked_into_one_another_and_links_in_circles_end(tmp_path: Path) -> None:
    layer = cached(HUBS[0]).symlink(LINK, f"/{HUBS[0]}/{REPOSITORY}/snapshots/{COMMIT}/model.safetensors")
    for number in range(300):
        layer.symlink(f"models/{number}", f"/models/{number + 1}").symlink(f"models/x/{number}", "..")
        layer.symlink(f"models/y/{number}", "/").symlink(f"models/z/{number}", "a/../" * 800)
    layer.symlink("models/300", "/models/0")
    start = time.monotonic()
    added, _ = salvaged(tmp_path, layer)
    assert [entry["path"] for entry in added if "/y/" not in entry["path"]] == ["models/clip_vision/clip.safetensors"]
    assert time.monotonic() - start < 20


def test_very_many_names_of_one_model_are_told_in_time(tmp_path: Path) -> None:
    layer = LayerMaker().file("opt/x.safetensors", body(VAE))
    for number in range(12_000):
        layer.symlink(f"models/{number}.safetensors", "/opt/x.safetensors")
    begun = time.process_time()
    added, left = salvaged(tmp_path, layer)
    assert (added, len(left)) == ([], 10_001)
    assert time.process_time() - begun < 4


def test_an_image_with_a_cache_becomes_a_manifest_with_nothing_left_open(commands: Commands) -> None:
    link = LayerMaker("RUN ln -s").symlink(LINK, f"/{HUBS[0]}/{REPOSITORY}/snapshots/{COMMIT}/model.safetensors")
    archive, output = docker_archive(commands.home / "i.tar", [cached(HUBS[0]), link]), commands.home / "m.yaml"
    outcome = commands.run("image", "audit", archive, "--manifest", output, "--json")
    assert outcome.returncode == 0, outcome.stderr
    assert [entry.model.source for entry in load_manifests([output]).entries] == [SOURCE]
    assert outcome.document["models"][0]["links"][0] == LINK


# Where a file of an image belongs -------------------------------------------------------------------------------------

HASH = b"\1" * 32
OFFER = Offer(
    "models/vfi/rife47.pth", {"source": "hf://a/b/c.pth", "sha256": HASH.hex()}, "custom_nodes/rife/rife47.pth"
)


def found(*paths: str, sha256: bytes = HASH) -> ModelAccount:
    return ModelAccount(sha256, 7, "torch", [(0, path) for path in paths], list(paths))


def places(result: Salvage) -> list[tuple[str, str | None]]:
    return [(entry["path"], entry.get("node_path")) for entry in result.entries]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("comfyui/models/vae/a.st", ("models/vae/a.st", None)),
        ("models/a.st", ("models/a.st", None)),
        ("models/unet/models/a.st", ("models/unet/models/a.st", None)),
        ("c/custom_nodes/Rife/models/a.pth", ("models/vfi/rife47.pth", "custom_nodes/Rife/models/a.pth")),
        ("weights/a.pth", ("models/vfi/rife47.pth", "custom_nodes/rife/rife47.pth")),
        ("weights/models", ("models/vfi/rife47.pth", "custom_nodes/rife/rife47.pth")),
    ],
)
def test_a_known_file_has_its_place(path: str, expected: tuple[str, str | None]) -> None:
    assert places(salvage([found(path)], Catalog([OFFER]), TABLE)) == [expected]


@pytest.mark.parametrize(
    ("path", "place", "reason"),
    [
        ("comfyui/models/vae/a.st", "models/vae/a.st", "no source"),
        ("c/custom_nodes/Rife/models/a.pth", "models/a.pth", "no source"),
        ("c/custom_nodes/Rife/ckpts/x/a.pth", "models/x/a.pth", "no source"),
        ("weights/a.pth", None, "no folder of models"),
        ("custom_nodes/a.pth", None, "no folder of models"),
        ("models/a\\b.pth", "models/a\\b.pth", "has a backslash"),
        ("models/a\nb.pth", "models/a\nb.pth", "has a control character"),
        ("models/\udcff.pth", "models/\udcff.pth", "no file name can hold"),
    ],
)
def test_what_is_not_known_says_why(path: str, place: str | None, reason: str) -> None:
    (left,) = salvage([found(path)], Catalog(), TABLE).left
    assert (left.found, left.entry.get("path")) == (path, place)
    assert reason in left.reason


def test_two_files_of_one_place_are_told_apart() -> None:
    other = found("b/models/x/y.st", "b/models/z.st", sha256=b"\2" * 32)
    offers = [OFFER, Offer("models/o.st", {"source": "hf://a/b/o.st", "sha256": other.sha256.hex()})]
    result = salvage([found("a/models/x", "a/models/z.st", "c/models/z.st"), other], Catalog(offers), TABLE)
    assert places(result) == [("models/x", None), ("models/z.st", None)]
    assert [left.found for left in result.left] == ["b/models/x/y.st", "b/models/z.st"]


def test_of_python_packages_nothing_is_wanted() -> None:
    result = salvage([found("usr/lib/python3/dist-packages/models/a.st")], Catalog(), TABLE)
    assert (result.entries, result.left, result.packaged) == ((), (), ("usr/lib/python3/dist-packages/models/a.st",))


names = st.one_of(
    st.sampled_from(["models", "custom_nodes", "site-packages", "vae", "null", "12", "a: b", "#c"]), st.text()
)
image_paths = st.lists(names.map(lambda name: name.replace("/", "") or "_"), min_size=1, max_size=4).map("/".join)
accounts = st.builds(
    lambda paths, number: found(*sorted(set(paths)), sha256=bytes([number]) * 32),
    st.lists(image_paths, max_size=4),
    st.integers(0, 5),
)


def offer(number: int, **fields: Any) -> Offer:
    return Offer(
        f"models/vae/{number}.st", {"source": f"hf://a/b/{number}.st", "sha256": f"{number:02x}" * 32, **fields}
    )


@given(st.lists(accounts, max_size=4, unique_by=lambda account: account.sha256), st.sets(st.integers(0, 5)))
def test_whatever_the_image_the_manifest_loads_and_no_model_is_lost(
    tmp_path_factory: pytest.TempPathFactory, models: list[ModelAccount], numbers: set[int]
) -> None:
    mirrors: Mapping[str, Any] = {"mirrors": ["https://host.example/a b,c.st", "hf://m/m/%20.st"]}
    result = salvage(models, Catalog([offer(number, **mirrors) for number in sorted(numbers)]), TABLE)
    output = tmp_path_factory.mktemp("salvage") / "m.yaml"
    output.write_text(manifest_text(result, "i\nmage: #.tar"), encoding="utf-8")
    loaded = [entry.model.model_dump(exclude_defaults=True, mode="json") for entry in load_manifests([output]).entries]
    assert loaded == [{**entry} for entry in result.entries]
    told = {left.found for left in result.left} | set(result.packaged)
    named = [*result.entries, *(left.entry for left in result.left)]
    for model in models:
        for path in model.paths:
            entry = {"sha256": model.sha256.hex(), "size": model.size}
            assert path in told or any(entry.items() <= each.items() for each in named)
