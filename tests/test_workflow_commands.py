"""``prefetch workflow`` from outside: what is printed, what is written, what the exit code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from prefetch.comfyui.lists import read_catalog
from prefetch.comfyui.workflow import load_table
from tests.support.commands import Commands
from tests.support.drawn import drawn, end, node

MANIFESTS = Path(__file__).parent.parent / "manifests"
SEED = MANIFESTS / "wan22-i2v-lightning.yaml"
WORKFLOWS = sorted((MANIFESTS / "workflows").glob("*.json"))
RIFE = "custom_nodes/ComfyUI-Frame-Interpolation/ckpts/rife/rife47.pth"


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A loader with metadata, a LoRA that only a note knows, and a VAE that nobody knows."""
    url = "https://huggingface.co/o/r/blob/main/x/a.safetensors"
    said = {"models": [{"name": "a.safetensors", "url": url, "hash": "ab" * 32, "hash_type": "sha256"}]}
    nodes = [
        node(1, "UNETLoader", ("a.safetensors",), outputs=[("MODEL", [90])], properties=said),
        node(2, "LoraLoaderModelOnly", ("w\\l.safetensors", 1), outputs=[("MODEL", [91])]),
        node(3, "VAELoader", ("v.safetensors",), outputs=[("VAE", [92])]),
        node(4, "MarkdownNote", ("[l](https://huggingface.co/o/l/resolve/main/l.safetensors?download=true)",)),
        *(end(number, number) for number in (90, 91, 92)),
    ]
    links = [(number, number - 89, 0, number, 0, "*") for number in (90, 91, 92)]
    file = tmp_path / "w.json"
    file.write_text(json.dumps(drawn(nodes, links)))
    return file


def written(path: Path) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = yaml.safe_load(path.read_text())["models"]
    return models


def test_the_seed_loads_the_seven_in_both_forms(commands: Commands) -> None:
    outcome = commands.run("workflow", "models", *WORKFLOWS, "--json")
    assert outcome.returncode == 0, outcome.stderr
    both = json.loads(outcome.stdout)
    assert [Path(one["workflow"]) for one in both] == WORKFLOWS and len(both) == 2
    for one in both:
        assert set(one) == {"workflow", "models", "self_downloaded", "unresolved", "embeddings"}
        assert len(one["models"]) == 6 and all(model["required"] for model in one["models"])
        assert [item["place"] for item in one["self_downloaded"]] == [RIFE]
        assert one["unresolved"] == one["embeddings"] == []


def test_the_seed_is_covered_and_the_fifteen_name_eight_too_many(commands: Commands) -> None:
    clean = commands.run("workflow", "check", *WORKFLOWS, "--manifest", SEED, "--json")
    assert clean.returncode == 0, clean.stderr
    assert [model["status"] for model in clean.document["models"]] == ["needed"] * 7
    more = commands.run("workflow", "check", *WORKFLOWS, "--manifest", SEED, "--manifest", MANIFESTS / "extras.yaml")
    assert more.returncode == 0, more.stderr
    assert sum(line.startswith("unused  ") for line in more.stdout.splitlines()) == 8
    assert "unused: 8 models, at least 13.2 GB, 3 sizes unknown" in more.stdout


def test_what_is_missing_is_exit_code_1(commands: Commands, workflow: Path) -> None:
    outcome = commands.run("workflow", "check", workflow, "--manifest", SEED, "--json")
    assert outcome.returncode == 1
    missing = {m["path"] for m in outcome.document["models"] if m["status"] == "not-in-manifest"}
    assert missing == {
        "models/diffusion_models/a.safetensors",
        "models/loras/w/l.safetensors",
        "models/vae/v.safetensors",
    }
    assert "3 files in no manifest" in outcome.document["error"]["message"]


def test_with_a_volume_each_must_be_there(commands: Commands, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    outcome = commands.run("workflow", "check", WORKFLOWS[0], "--manifest", SEED, "--volume", volume, "--json")
    assert outcome.returncode == 1
    assert {model["status"] for model in outcome.document["models"]} == {"missing"}


def test_a_manifest_from_catalogs_of_every_kind(commands: Commands, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "urls.csv").write_text(
        "model_file_name,models_folder,url\n"
        "Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf,models/unet,https://huggingface.co/o/high/resolve/main/h.gguf\n"
        "umt5-xxl-encoder-Q5_K_M.gguf,models/clip/,https://civitai.com/api/download/models/7?token=${KEY}\n"
        "rife47.pth,custom_nodes/comfyui-frame-interpolation/ckpts/rife/,https://huggingface.co/o/rife/resolve/main/r.pth\n"
    )
    vae = {"name": "Wan VAE", "type": "VAE", "save_path": "default", "filename": "wan_2.1_vae.safetensors"}
    vae |= {"url": "https://huggingface.co/o/vae/resolve/main/v.safetensors", "size": "254MB"}
    (lists / "model-list.json").write_text(json.dumps({"models": [vae]}))
    output = tmp_path / "m.yaml"
    outcome = commands.run("workflow", "manifest", WORKFLOWS[0], "--catalog", lists, "-o", output)
    assert outcome.returncode == 1, outcome.stderr
    assert {model["path"]: model["source"] for model in written(output)} == {
        "models/diffusion_models/Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf": "hf://o/high/h.gguf",
        "models/text_encoders/umt5-xxl-encoder-Q5_K_M.gguf": "civitai:7",
        "models/vae/wan_2.1_vae.safetensors": "hf://o/vae/v.safetensors",
        "models/rife/rife47.pth": "hf://o/rife/r.pth",
    }
    assert not any("size" in model for model in written(output))
    assert [m.get("node_path", "").casefold() for m in written(output)].count(RIFE.casefold()) == 1
    assert "KEY" not in output.read_text()
    assert "#   - path: models/diffusion_models/Wan2.2-I2V-A14B-LowNoise-Q8_0.gguf" in output.read_text()
    again = commands.run("workflow", "manifest", *WORKFLOWS, "--catalog", MANIFESTS, "-o", output)
    assert again.returncode == 0, again.stderr
    assert len(written(output)) == 7 and "LowNoise" in output.read_text() and "Not resolved" not in output.read_text()


def test_rows_of_a_catalog_that_cannot_be_used_are_told(commands: Commands, workflow: Path, tmp_path: Path) -> None:
    rows: list[Any] = [
        {"save_path": "upscale_models/ldsr", "filename": "last.ckpt", "url": "https://h.example/f/578df07c/?dl=1"},
        {"save_path": "loras", "filename": "a.safetensors", "url": "https://h.example/d/"},
        {"save_path": "loras", "filename": "b.safetensors", "url": "https://h.example/b.safetensors?sig=planted"},
        {"save_path": "loras", "filename": "c.safetensors", "url": "http://h.example/c.safetensors"},
        {"save_path": "loras", "filename": "<huggingface>", "url": "https://huggingface.co/o/r"},
        {"save_path": "loras", "filename": "../../d.safetensors", "url": "https://h.example/d.safetensors"},
        {"save_path": "default", "type": "stranger", "filename": "e.safetensors"},
        "none",
    ]
    listed = tmp_path / "model-list.json"
    listed.write_text(json.dumps({"models": rows}))
    table = tmp_path / "t.csv"
    link = "https://civitai.com/api/download/models/7?type=VAE&token=planted"
    table.write_text(f"name,folder,url\nv.safetensors,vae,{link}\nx.safetensors,vae,civitia:1\n")
    outcome = commands.run("workflow", "manifest", workflow, "--catalog", listed, "--catalog", table)
    told = [line for line in outcome.stderr.splitlines() if "cannot be used" in line]
    assert [line.partition(": ")[2].partition(": ")[0] for line in told] == [str(listed)] * 7 + [str(table)]
    words = [
        "entry 2 ('a.safetensors') cannot be used: https://h.example/d/ is a directory",
        "entry 3 ('b.safetensors') cannot be used: https://h.example/b.safetensors?… carries a credential",
        "entry 4 ('c.safetensors') cannot be used: a source over plain http:// needs a sha256",
        "entry 5 ('<huggingface>') cannot be used: it is a whole repository",
        "entry 6 ('../../d.safetensors') cannot be used: ",
        "entry 7 ('e.safetensors') cannot be used: it has no folder and no address",
        "entry 8 cannot be used: it has no name and no folder and no address",
        "line 3 ('x.safetensors') cannot be used: Nothing is known of the scheme 'civitia:'",
    ]
    assert all(word in line for word, line in zip(words, told, strict=True)), told
    # What a row's address says of the file is kept, and somebody's key is not.
    assert "source: https://civitai.com/api/download/models/7?type=VAE" in outcome.stdout
    assert "planted" not in outcome.stdout + outcome.stderr


def test_a_row_that_ends_in_a_slash_before_its_query_is_an_offer(tmp_path: Path) -> None:
    link = "https://heibox.uni-heidelberg.de/f/578df07c8fc04ffbadf3/?dl=1"
    row = {"type": "upscale", "save_path": "upscale_models/ldsr", "filename": "last.ckpt", "url": link}
    listed = tmp_path / "model-list.json"
    listed.write_text(json.dumps({"models": [row, *[{"name": str(number)} for number in range(30)]]}))
    catalog = read_catalog([listed], load_table())
    offer = catalog.model("models/upscale_models/ldsr/last.ckpt")
    assert offer is not None and offer.fields == {"source": link}
    assert len(catalog.unusable) == 21
    assert catalog.unusable[-1] == f"{listed}: 10 more rows cannot be used."


def test_an_address_of_the_workflow_that_cannot_be_used_is_told(commands: Commands, tmp_path: Path) -> None:
    url = "https://huggingface.co/o/r/resolve/main/a.safetensors?other=b.safetensors"
    said = {"models": [{"name": "a.safetensors", "url": url}]}
    loader = node(1, "UNETLoader", ("a.safetensors",), outputs=[("MODEL", [90])], properties=said)
    file = tmp_path / "w.json"
    file.write_text(json.dumps(drawn([loader, end(90, 90)], [(90, 1, 0, 90, 0, "*")])))
    outcome = commands.run("workflow", "manifest", file)
    assert outcome.returncode == 1
    assert "models/diffusion_models/a.safetensors: the address in the workflow cannot be used: " in outcome.stderr
    assert "the parameter 'other', which is not known" in outcome.stderr


def test_sources_from_the_workflow_itself(commands: Commands, workflow: Path) -> None:
    outcome = commands.run("workflow", "manifest", workflow)
    assert outcome.returncode == 1
    assert yaml.safe_load(outcome.stdout)["models"] == [
        {
            "path": "models/diffusion_models/a.safetensors",
            "source": "hf://o/r/x/a.safetensors",
            "sha256": "ab" * 32,
        },
        {"path": "models/loras/w/l.safetensors", "source": "hf://o/l/l.safetensors"},
    ]
    assert "#   - path: models/vae/v.safetensors" in outcome.stdout
    assert "1 file without a source" in outcome.stderr


def test_an_existing_manifest_keeps_all_that_was_written_in_it(
    commands: Commands, workflow: Path, tmp_path: Path
) -> None:
    before = (
        "# mine\nversion: 1\n\nmodels: # all of them\n"
        "- path: 'models/unet/a.safetensors'   # by hand\n  source: \"hf://o/other/a.safetensors\"\n  # the end\n"
    )
    manifest = tmp_path / "m.yaml"
    manifest.write_text(before)
    assert commands.run("workflow", "manifest", workflow, "-o", manifest).returncode == 1
    after = manifest.read_text()
    assert after.startswith(before.rstrip("\n").rpartition("\n")[0])
    assert "# the end" in after and "'models/unet/a.safetensors'   # by hand" in after
    assert [model["path"] for model in written(manifest)] == [
        "models/unet/a.safetensors",
        "models/loras/w/l.safetensors",
    ]
    assert commands.run("workflow", "manifest", workflow, "-o", manifest).returncode == 1
    assert manifest.read_text() == after


def test_what_is_uncommented_is_a_manifest(commands: Commands, workflow: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    commands.run("workflow", "manifest", workflow, "-o", manifest)
    lines = manifest.read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if "Not resolved" in line)
    # What an editor does with a selection: all of the block, its first and last line too.
    manifest.write_text("\n".join([*lines[:begin], *(line.removeprefix("# ") for line in lines[begin:])]))
    planned = commands.run("plan", manifest, "--json", env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert planned.returncode == 1, planned.stderr
    assert "models/vae/v.safetensors has no source yet" in planned.models["models/vae/v.safetensors"]["error"]
    manifest.write_text(manifest.read_text().replace("source:\n", "source: hf://o/v/v.safetensors\n"))
    assert written(manifest)[-1] == {"path": "models/vae/v.safetensors", "source": "hf://o/v/v.safetensors"}
    assert commands.run("workflow", "check", workflow, "--manifest", manifest).returncode == 0


def test_what_a_person_wrote_among_the_comments_stays(commands: Commands, workflow: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    commands.run("workflow", "manifest", workflow, "-o", manifest)
    lines = []
    for line in manifest.read_text().splitlines():
        if line.startswith("# # End"):
            lines += ["  # mine", "  - path: models/vfi/mine.pth", "    source: hf://o/m/mine.pth"]
        # The two lines that matter, uncommented by hand, below the reason.
        is_entry = line.startswith(("#   - path: models/vae/v", "#     source:"))
        lines.append(line.removeprefix("# ").replace("source:", "source: hf://o/v/v.safetensors") if is_entry else line)
    manifest.write_text("\n".join(lines) + "\n")
    before = written(manifest)
    assert [model["path"] for model in before[-2:]] == ["models/vae/v.safetensors", "models/vfi/mine.pth"]
    for _ in range(2):
        outcome = commands.run("workflow", "manifest", workflow, "-o", manifest)
        assert outcome.returncode == 0, outcome.stderr
        assert written(manifest) == before
        assert "  # mine\n" in manifest.read_text()


def test_an_entry_whose_source_is_still_empty_is_not_added_again(
    commands: Commands, workflow: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "m.yaml"
    commands.run("workflow", "manifest", workflow, "-o", manifest)
    lines = manifest.read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if "Not resolved" in line)
    manifest.write_text("\n".join([*lines[:begin], *(line.removeprefix("# ") for line in lines[begin:])]))
    again = commands.run("workflow", "manifest", workflow, "-o", manifest)
    assert again.returncode == 1
    assert manifest.read_text().count("models/vae/v.safetensors") == 1


def test_an_embedding_that_a_prompt_names_gets_an_ending(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    prompts = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "embedding:bad, (embedding:good.pt:1.2)"}}}
    file.write_text(json.dumps(prompts))
    said = commands.run("workflow", "manifest", file).stdout
    assert "#   - path: models/embeddings/bad.safetensors\n" in said and "the prompt names no ending" in said
    assert "#   - path: models/embeddings/good.pt\n" in said


def test_a_table_of_ones_own(commands: Commands, tmp_path: Path) -> None:
    file, table = tmp_path / "w.json", tmp_path / "mine.yaml"
    file.write_text(
        json.dumps({"1": {"class_type": "Mine", "inputs": {"thing": "x.gguf", "vae": "v.pt", "use": False}}})
    )
    first = json.loads(commands.run("workflow", "models", file, "--json").stdout)[0]
    assert [model["folder"] for model in first["models"]] == [None, None] and len(first["unresolved"]) == 2
    table.write_text("version: 1\nloaders:\n  Mine: {thing: diffusion_models, vae: {folder: vae, switch: use}}\n")
    second = json.loads(commands.run("workflow", "models", file, "--loaders", table, "--json").stdout)[0]
    assert [(m["folder"], m["name"]) for m in second["models"]] == [("diffusion_models", "x.gguf")]
    assert second["unresolved"] == []


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("loaders: {}", "1: a loader table begins with version: 1."),
        ("version: 1\nloader: {}", '2: the key "loader" is unknown.'),
        ("version: 1\nloaders: [x]", "2: a mapping belongs here."),
        ("version: 1\nloaders:\n  A: {x: loras @ two}", "3: a folder is written loras, or loras @ 2"),
        ("version: 1\nloaders:\n  A: {x: {folder: loras, when: y}}", '3: the key "when" is unknown.'),
        (
            "version: 1\nkinds:\n  k: {folder: ../x}",
            "3: a kind's folder is written LLM, or ultralytics/bbox, below models.",
        ),
        ("version: 1\nkinds:\n  k: {folder: x, moved: true}", '3: the key "moved" is unknown.'),
        ("version: 1\nkinds:\n  k: {folder: x, fixed: 1}", "3: true or false belongs here."),
        (
            "version: 1\nloaders:\n  A: {x: loras, from: me}",
            "3: where a row is known from is written owner/repository@",
        ),
        ("version: 1\nnotes: Note", "2: a list belongs here."),
        ("version: 1\nswitches:\n  A: {by: n @ 0}", "3: a switch is written {by: WIDGET @ 0,"),
        ("version: 1\nswitches:\n  A: {first: 1}", "3: a text belongs here."),
        ("version: 1\ncontexts:\n  A: {middle: x}", "3: a context is written {base: INPUT}"),
        ("a: &b", "anchors"),
    ],
)
def test_a_wrong_table_is_one_sentence(commands: Commands, tmp_path: Path, table: str, sentence: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(table)
    outcome = commands.run("workflow", "models", WORKFLOWS[0], "--loaders", file)
    assert outcome.returncode == 2
    assert sentence in outcome.stderr


@pytest.mark.parametrize("command", ["models", "manifest", "check"])
def test_without_a_workflow(commands: Commands, command: str) -> None:
    outcome = commands.run("workflow", command)
    assert outcome.returncode == 2
    assert "No workflow was given. Write for example: prefetch workflow" in outcome.stderr


def test_one_that_cannot_be_read_does_not_hide_the_others(commands: Commands, tmp_path: Path) -> None:
    other = tmp_path / "package.json"
    other.write_text('{"name": "x"}')
    outcome = commands.run("workflow", "models", other, tmp_path / "none.json", WORKFLOWS[0], "--json")
    assert outcome.returncode == 2
    assert [Path(one["workflow"]) for one in json.loads(outcome.stdout)] == [WORKFLOWS[0]]
    assert f"{other}: this JSON is no ComfyUI workflow." in outcome.stderr
    assert "And 1 other file cannot be read either." in outcome.stderr


def test_a_directory_of_other_things_and_a_manifest_that_is_none(commands: Commands, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    (lists / "sub.yaml").mkdir(parents=True)
    (lists / "values.yaml").write_text("replicas: 2\nversion: 3\n")
    (lists / "m.yaml").write_text(SEED.read_text())
    assert commands.run("workflow", "manifest", WORKFLOWS[0], "--catalog", lists).returncode == 0
    broken = tmp_path / "other.yaml"
    broken.write_bytes(b"replicas: \xff\n")
    outcome = commands.run("workflow", "manifest", WORKFLOWS[0], "--catalog", lists, "-o", broken)
    assert outcome.returncode == 2 and broken.read_bytes() == b"replicas: \xff\n"
    assert f"{broken}:1: a byte is not UTF-8 text." in outcome.stderr
    outcome = commands.run("workflow", "manifest", WORKFLOWS[0], "--catalog", lists, "-o", tmp_path / "no" / "m.yaml")
    assert outcome.returncode == 2 and "cannot be written: No such file or directory." in outcome.stderr


def test_a_link_stays_a_link_and_a_pipe_a_pipe(commands: Commands, workflow: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "link.yaml", tmp_path / "real" / "m.yaml"
    link.symlink_to(real)
    assert commands.run("workflow", "manifest", workflow, "-o", link).returncode == 1
    assert link.is_symlink() and len(written(real)) == 2
    assert [file.name for file in tmp_path.joinpath("real").iterdir()] == ["m.yaml"]
    outcome = commands.run("workflow", "manifest", workflow, "-o", "/dev/stdout")
    assert "version: 1" in outcome.stdout and outcome.returncode == 1
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    outcome = commands.run("workflow", "manifest", workflow, "-o", full)
    assert outcome.returncode == 2 and "cannot be written: No space left on device." in outcome.stderr
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.csv", "name,folder,url\n" + ",,\n" * 200_000), ("c.json", '{"models": [' + "{}," * 300_000 + "{}]}")],
)
def test_a_catalog_longer_than_any_is_refused_before_its_rows_are_made(
    commands: Commands, workflow: Path, name: str, text: str
) -> None:
    catalog = commands.home / name
    catalog.write_text(text)
    outcome = commands.run("workflow", "manifest", workflow, "--catalog", catalog)
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert f"{name} holds more than 500000 values." in outcome.stderr


@pytest.mark.parametrize(
    ("kind", "given", "path", "linked"),
    [
        ("FluxLoraLoader", {"lora_name": "x.safetensors"}, "models/xlabs/loras/x.safetensors", True),
        ("LayerMask: YoloV8Detect", {"yolo_model": "x.pt"}, "models/yolo/x.pt", True),
        ("LoraLoaderModelOnly", {"lora_name": "x.safetensors"}, "models/loras/x.safetensors", False),
        ("UltralyticsDetectorProvider", {"model_name": "bbox/x.pt"}, "models/ultralytics/bbox/x.pt", False),
    ],
)
def test_a_model_where_no_mapping_leads_gets_a_node_path(
    commands: Commands, tmp_path: Path, kind: str, given: dict[str, str], path: str, linked: bool
) -> None:
    workflow, rows = tmp_path / "w.json", tmp_path / "list.csv"
    loader = {"class_type": kind, "inputs": given}
    workflow.write_text(json.dumps({"1": loader, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}}))
    without = commands.run("workflow", "manifest", workflow)
    assert (without.returncode, f"node_path: {path}" in without.stdout) == (1, linked)
    folder, _, name = path.rpartition("/")
    rows.write_text(f"filename,folder,url\n{name},{folder},https://huggingface.co/a/b/resolve/main/{name}\n")
    outcome = commands.run("workflow", "manifest", workflow, "--catalog", rows)
    assert outcome.returncode == 0, outcome.stderr
    [entry] = yaml.safe_load(outcome.stdout)["models"]
    assert entry.get("node_path") == (path if linked else None)
