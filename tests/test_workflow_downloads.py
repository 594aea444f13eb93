"""What nodes fetch by themselves: which files, from where, to which place, and how a manifest brings them before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from prefetch.comfyui.workflow.entry import Entry
from prefetch.manifest import load_manifests
from prefetch.sources.refs.source import parse_source
from tests.support.commands import Commands
from tests.support.drawn import TABLE, drawn, found_in, node

AUX = "custom_nodes/comfyui_controlnet_aux/ckpts"


def api(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node in the server's form, beside an output that it leads to."""
    return {
        "1": {"class_type": kind, "inputs": inputs},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }


def fetched(document: object) -> dict[str, str | None]:
    """Place → source."""
    return {item.place: item.source for item in found_in(document).self_downloaded}


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        (
            "LayerMask: SegmentAnythingUltra V2",
            {
                "sam_model": "sam_vit_h (2.56GB)",
                "grounding_dino_model": "GroundingDINO_SwinT_OGC (694MB)",
                "detail_method": "VITMatte",
            },
            {
                "models/sams/sam_vit_h_4b8939.pth": "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth",
                "models/grounding-dino/groundingdino_swint_ogc.pth": "hf://ShilongLiu/GroundingDINO/groundingdino_swint_ogc.pth",
                "models/grounding-dino/GroundingDINO_SwinT_OGC.cfg.py": "hf://ShilongLiu/GroundingDINO/GroundingDINO_SwinT_OGC.cfg.py",
                "models/bert-base-uncased/": None,
                "models/vitmatte/": "hf://hustvl/vitmatte-small-composition-1k/",
            },
        ),
        (
            "easy applyFooocusInpaint",
            {"head": "fooocus_inpaint_head", "patch": "inpaint_v26 (1.32GB)"},
            {
                "models/inpaint/fooocus_inpaint_head.pth": "hf://lllyasviel/fooocus_inpaint/fooocus_inpaint_head.pth",
                "models/inpaint/inpaint_v26.fooocus.patch": "hf://lllyasviel/fooocus_inpaint/inpaint_v26.fooocus.patch",
            },
        ),
        (
            "easy imageRemBg",
            {"rem_mode": "RMBG-1.4"},
            {"models/rembg/RMBG-1.4.pth": "hf://briaai/RMBG-1.4/model.pth"},
        ),
        ("easy imageRemBg", {"rem_mode": "RMBG-2.0"}, {"models/rembg/RMBG-2.0/": "hf://briaai/RMBG-2.0/"}),
        (
            "easy icLightApply",
            {"mode": "Foreground", "remove_bg": False},
            {
                "models/unet/iclight_sd15_fc_unet_ldm.safetensors": "hf://huchenlei/IC-Light-ldm/iclight_sd15_fc_unet_ldm.safetensors"
            },
        ),
        (
            "BRIA_RMBG_ModelLoader_Zho",
            {},
            {"custom_nodes/ComfyUI-BRIA_AI-RMBG/RMBG-1.4/model.pth": "hf://briaai/RMBG-1.4/model.pth"},
        ),
        (
            "DownloadAndLoadSAM2Model",
            {"model": "sam2.1_hiera_large.safetensors", "precision": "fp16"},
            {
                "models/sam2/sam2.1_hiera_large-fp16.safetensors": "hf://Kijai/sam2-safetensors/sam2.1_hiera_large-fp16.safetensors"
            },
        ),
        (
            "DownloadAndLoadSAM2Model",
            {"model": "sam2.1_hiera_large.safetensors", "precision": "fp32"},
            {
                "models/sam2/sam2.1_hiera_large.safetensors": "hf://Kijai/sam2-safetensors/sam2.1_hiera_large.safetensors"
            },
        ),
        (
            "DownloadAndLoadFlorence2Model",
            {"model": "MiaoshouAI/Florence-2-base-PromptGen-v2.0"},
            {"models/LLM/Florence-2-base-PromptGen-v2.0/": "hf://MiaoshouAI/Florence-2-base-PromptGen-v2.0/"},
        ),
        (
            "DownloadAndLoadFlorence2ModelMultiGPU",
            {"model": "microsoft/Florence-2-base"},
            {"models/LLM/Florence-2-base/": "hf://microsoft/Florence-2-base/"},
        ),
        (
            "DWPreprocessor",
            {"bbox_detector": "yolox_l.onnx", "pose_estimator": "dw-ll_ucoco_384_bs5.torchscript.pt"},
            {
                f"{AUX}/yzd-v/DWPose/yolox_l.onnx": "hf://yzd-v/DWPose/yolox_l.onnx",
                f"{AUX}/hr16/DWPose-TorchScript-BatchSize5/dw-ll_ucoco_384_bs5.torchscript.pt": (
                    "hf://hr16/DWPose-TorchScript-BatchSize5/dw-ll_ucoco_384_bs5.torchscript.pt"
                ),
            },
        ),
        ("RIFE VFI", {"ckpt_name": "sudo.pth"}, {"custom_nodes/ComfyUI-Frame-Interpolation/ckpts/rife/sudo.pth": None}),
        ("AIO_Preprocessor", {"preprocessor": "CannyEdgePreprocessor"}, {}),
        ("AIO_Preprocessor", {"preprocessor": "OfTomorrow"}, {f"{AUX}/<repository>/<file>": None}),
        (
            "AIO_Preprocessor",
            {"preprocessor": "HEDPreprocessor"},
            {f"{AUX}/lllyasviel/Annotators/ControlNetHED.pth": "hf://lllyasviel/Annotators/ControlNetHED.pth"},
        ),
        ("DownloadAndLoadSomething", {"model": "x"}, {"models/<folder>/<file>": None}),
        ("LayerMask: BiRefNetUltraV2", {"detail_method": "GuidedFilter"}, {}),
        ("SAMModelLoader (segment anything)", {"model_name": "sam_of_2030"}, {"models/sams/<file>": None}),
        ("SAMModelLoader (segment anything)", {}, {"models/sams/<file>": None}),
    ],
)
def test_what_is_fetched(kind: str, inputs: dict[str, Any], expected: dict[str, str | None]) -> None:
    assert fetched(api(kind, **inputs)) == expected


def test_of_the_pages_form_by_position() -> None:
    values = ("sam_vit_b (375MB)", "GroundingDINO_SwinB (938MB)", 0.3, "GuidedFilter", 6, 6, 0.15, 0.99, True, "dog")
    places = fetched(drawn([node(1, "LayerMask: SegmentAnythingUltra V2", values)]))
    assert sorted(place for place in places if "GroundingDINO" not in place) == [
        "models/bert-base-uncased/",
        "models/grounding-dino/groundingdino_swinb_cogcoor.pth",
        "models/sams/sam_vit_b_01ec64.pth",
    ]


def test_a_node_that_loads_and_fetches_tells_both() -> None:
    found = found_in(api("ReActorFaceSwap", swap_model="inswapper_128.onnx", enabled=True))
    assert [model.path for model in found.models] == ["models/insightface/inswapper_128.onnx"]
    assert "models/nsfw_detector/vit-base-nsfw-detector/model.safetensors" in {i.place for i in found.self_downloaded}


def test_one_that_leads_to_no_output_fetches_nothing(commands: Commands, tmp_path: Path) -> None:
    dead = node(1, "BRIA_RMBG_ModelLoader_Zho", outputs=[("RMBGMODEL", [3])])
    middle = node(2, "KSampler", inputs=[("model", "MODEL", 3)], outputs=[("LATENT", [])])
    other = node(4, "SaveImage", inputs=[("images", "IMAGE", None)])
    document = drawn([dead, middle, other], [(3, 1, 0, 2, 0, "RMBGMODEL")])
    assert [item.required for item in found_in(document).self_downloaded] == [False]
    file = tmp_path / "w.json"
    file.write_text(json.dumps(document))
    assert "; not needed: no output asks for it" in commands.run("workflow", "models", file).stdout
    outcome = commands.run("workflow", "manifest", file)
    assert outcome.returncode == 0 and not yaml.safe_load(outcome.stdout)["models"]


def every_download() -> list[tuple[str, Entry | None, str | None, str, str | None]]:
    """Each class, the input that chooses, the value, and what is fetched for it."""
    return [
        (kind, choice.input, None if value == "*" else value, download.place, download.source)
        for kind in sorted(TABLE.classes)
        for choice in TABLE.downloads(kind) or ()
        for value, downloads in choice.of.items()
        for download in downloads
    ]


@pytest.mark.parametrize(("kind", "chooses", "value", "place", "source"), every_download())
def test_every_row_of_the_table(
    kind: str, chooses: Entry | None, value: str | None, place: str, source: str | None
) -> None:
    assert place.startswith(("models/", "custom_nodes/", "<"))
    given = value or "owner/thing.pth"
    if source is not None:
        assert source.endswith("/") == place.endswith("/") or place.startswith("<")
        if "{" not in source and not source.endswith("/"):
            assert not parse_source(source).needs_sha256
    if "*" in kind:
        return
    switch = chooses.switch if chooses is not None else None
    inputs = {} if chooses is None else {chooses.name: given}
    if switch is not None:
        inputs[switch.name] = switch.values[0]
    assert fetched(api(kind, **inputs)), "a class of the table is never passed over in silence"


@pytest.mark.parametrize(
    ("kind", "given", "places"),
    [
        ("LFM2TransformerModelLoader", {"model_id": "LiquidAI/LFM2-VL-450M"}, {"models/unet/LFM2-VL-HF/LFM2-VL-450M/"}),
        ("Ovis25ModelLoader", {"model_name": "AIDC-AI/Ovis2.5-2B"}, {"models/unet/Ovis2.5-HF/Ovis2.5-2B/"}),
        (
            "LTXVPromptEnhancerLoader",
            {"llm_name": "a/one", "image_captioner_name": "b/two"},
            {"models/LLM/one/", "models/LLM/two/"},
        ),
        ("LoadSALADModel", {}, {"models/salad/dino_salad.safetensors"}),
        (
            "Joy_caption_load",
            {"model": "unsloth/Meta-Llama-3.1-8B-bnb-4bit"},
            {"models/LLM/Meta-Llama-3.1-8B-bnb-4bit/", "models/clip/siglip-so400m-patch14-384/"},
        ),
        (
            "Load Face Analysis Model (mtb)",
            {"faceswap_model": "antelopev2"},
            {"models/insightface/models/antelopev2/"},
        ),
    ],
)
def test_repositories_by_the_name_in_a_widget(kind: str, given: dict[str, str], places: set[str]) -> None:
    assert {item.place for item in found_in(api(kind, **given)).self_downloaded} == places


def test_sources_that_are_known_become_entries(commands: Commands, tmp_path: Path) -> None:
    file, output = tmp_path / "w.json", tmp_path / "m.yaml"
    document = api("BRIA_RMBG_ModelLoader_Zho")
    document["2"] = {"class_type": "DownloadAndLoadFlorence2Model", "inputs": {"model": "microsoft/Florence-2-base"}}
    document["3"] = {"class_type": "PulidInsightFaceLoader", "inputs": {}}
    document["9"]["inputs"].update(more=["2", 0], faces=["3", 0])
    file.write_text(json.dumps(document))
    outcome = commands.run("workflow", "manifest", file, "-o", output)
    assert outcome.returncode == 0, outcome.stderr
    bria, florence = "custom_nodes/ComfyUI-BRIA_AI-RMBG/RMBG-1.4/model.pth", "models/LLM/Florence-2-base/"
    assert yaml.safe_load(output.read_text())["models"] == [
        {"path": "models/RMBG-1.4/model.pth", "source": "hf://briaai/RMBG-1.4/model.pth", "node_path": bria},
        {"path": florence, "source": "hf://microsoft/Florence-2-base/", "node_path": florence},
    ]
    assert "- path: models/insightface/models/antelopev2/" in output.read_text()
    wanted = load_manifests([output])
    assert len(wanted.entries) == len(wanted.folders) == 1
    before = output.read_text()
    assert commands.run("workflow", "manifest", file, "-o", output).returncode == 0
    assert output.read_text() == before


@pytest.mark.parametrize("model", ["no-owner", "a/b/c d", "o/r@main", "o/..", "o/r/.", "o/{model}", "o/r\n"])
def test_what_a_workflow_says_makes_no_manifest_that_cannot_be_read(
    commands: Commands, tmp_path: Path, model: str
) -> None:
    file, output = tmp_path / "w.json", tmp_path / "m.yaml"
    file.write_text(json.dumps(api("DownloadAndLoadFlorence2Model", model=model)))
    commands.run("workflow", "manifest", file, "-o", output)
    assert load_manifests([output]) is not None


def test_what_could_be_run_is_told_and_not_brought(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    name = "GroundingDINO_SwinB (938MB)"
    file.write_text(json.dumps(api("GroundingDinoModelLoader (segment anything)", model_name=name)))
    outcome = commands.run("workflow", "manifest", file)
    assert [Path(model["path"]).name for model in yaml.safe_load(outcome.stdout)["models"]] == [
        "groundingdino_swinb_cogcoor.pth"
    ]
    assert "a link of such a name could be run as a program" in outcome.stderr and outcome.returncode == 0


def test_check_tells_what_no_manifest_brings(commands: Commands, tmp_path: Path) -> None:
    file, manifest = tmp_path / "w.json", tmp_path / "m.yaml"
    file.write_text(json.dumps(api("BRIA_RMBG_ModelLoader_Zho")))
    manifest.write_text("version: 1\nmodels: []\n")
    outcome = commands.run("workflow", "check", file, "--manifest", manifest)
    assert outcome.returncode == 0
    assert "BRIA_RMBG_ModelLoader_Zho (node 1) fetches by itself what no manifest brings" in outcome.stderr
    commands.run("workflow", "manifest", file, "-o", manifest)
    outcome = commands.run("workflow", "check", file, "--manifest", manifest, "--json")
    assert [model["status"] for model in outcome.document["models"]] == ["needed"]
    assert "fetches by itself" not in outcome.stderr


def test_a_directory_of_a_manifest_brings_what_is_in_it(commands: Commands, tmp_path: Path) -> None:
    file, manifest = tmp_path / "w.json", tmp_path / "m.yaml"
    file.write_text(json.dumps(api("DownloadAndLoadFlorence2Model", model="microsoft/Florence-2-base")))
    for folder, told in (("models/LLM/Florence-2-base/", False), ("models/LLM/Florence-2-large/", True)):
        manifest.write_text(f"version: 1\nmodels:\n  - path: {folder}\n    source: hf://microsoft/Florence-2-base/\n")
        outcome = commands.run("workflow", "check", file, "--manifest", manifest)
        assert outcome.returncode == 0 and ("what no manifest brings" in outcome.stderr) == told


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{by: m, of: nothing}", '3: there is no set "nothing" below download_sets.'),
        ("{by: m, of: {a: [x]}}", "3: a mapping belongs here."),
        ("{by: 3, of: {a: x}}", "3: a text belongs here."),
        ("{models/a.pth: 3}", "3: a text belongs here."),
    ],
)
def test_a_wrong_row_is_one_sentence(commands: Commands, tmp_path: Path, row: str, sentence: str) -> None:
    file, table = tmp_path / "w.json", tmp_path / "mine.yaml"
    file.write_text(json.dumps(api("Mine")))
    table.write_text(f"version: 1\nself_downloaded:\n  Mine: {row}\n")
    outcome = commands.run("workflow", "models", file, "--loaders", table)
    assert outcome.returncode == 2 and sentence in outcome.stderr


def test_a_table_of_ones_own(commands: Commands, tmp_path: Path) -> None:
    file, table = tmp_path / "w.json", tmp_path / "mine.yaml"
    file.write_text(json.dumps(api("Mine", which="small", fast=True)))
    table.write_text(
        "version: 1\n"
        "download_sets:\n  nets:\n    small: {models/nets/s.pth: hf://o/r/s.pth}\n    large: models/nets/l.pth\n"
        "self_downloaded:\n  Mine:\n    - {by: which, of: nets, when: fast = True}\n    - models/nets/{which}.json\n"
    )
    found = json.loads(commands.run("workflow", "models", file, "--loaders", table, "--json").stdout)[0]
    assert [(item["place"], item["source"]) for item in found["self_downloaded"]] == [
        ("models/nets/s.pth", "hf://o/r/s.pth"),
        ("models/nets/small.json", None),
    ]
