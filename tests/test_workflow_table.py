"""The built-in loader table: every row says where it is known from, and names kinds and directories that there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from prefetch.comfyui.kinds import FOLDERS
from tests.support.commands import Commands
from tests.support.drawn import drawn, found_in, node, paths

FILES = files("prefetch.comfyui.workflow")
TABLE, PROMPTS = (yaml.safe_load(FILES.joinpath(name).read_bytes()) for name in ("loaders.yaml", "prompts.yaml"))
UNVERIFIED = 6
"""Rows whose node's source nobody has looked at. It may only become smaller."""


def words() -> Iterator[tuple[str, str]]:
    """Each class with each kind or directory that its row names."""
    for kind, row in TABLE["loaders"].items():
        for name, value in row.items():
            if name != "from":
                for place in value if isinstance(value, list) else [value]:
                    said = place["folder"] if isinstance(place, dict) else place
                    yield from ((kind, word) for word in said.partition(" @")[0].split("|"))


def test_the_rows_that_nobody_has_looked_up_become_fewer() -> None:
    rows = [*TABLE["kinds"].values(), *TABLE["loaders"].values(), *PROMPTS["loaders"].values()]
    assert sum(row.get("from", "unverified") == "unverified" for row in rows) == UNVERIFIED


def test_every_row_names_a_known_kind_or_a_directory() -> None:
    unknown = {
        kind: word
        for kind, word in words()
        if word not in FOLDERS and word not in TABLE["kinds"] and not word.startswith("models/")
    }
    assert unknown == {}


@pytest.mark.parametrize(
    ("kind", "given", "path"),
    [
        ("easy kolorsLoader", {"chatglm3_name": "chatglm3.safetensors"}, "LLM/chatglm3.safetensors"),
        ("UltralyticsDetectorProvider", {"model_name": "bbox/face.pt"}, "ultralytics/bbox/face.pt"),
        ("ReActorMaskHelper", {"bbox_model_name": "bbox/face.pt"}, "ultralytics/bbox/face.pt"),
        ("ReActorFaceSwap", {"enabled": True, "swap_model": "inswapper_128.onnx"}, "insightface/inswapper_128.onnx"),
        ("ReActorFaceSwap", {"enabled": True, "swap_model": "hyperswap_1a.onnx"}, "hyperswap/hyperswap_1a.onnx"),
        ("ReActorRestoreFace", {"model": "GFPGANv1.4.pth"}, "facerestore_models/GFPGANv1.4.pth"),
        ("FluxLoraLoader", {"lora_name": "x.safetensors"}, "xlabs/loras/x.safetensors"),
        ("LoadFluxControlNet", {"controlnet_path": "x.safetensors"}, "xlabs/controlnets/x.safetensors"),
        ("LoadFluxIPAdapter", {"ipadatper": "x.safetensors"}, "xlabs/ipadapters/x.safetensors"),
        ("CogVideoLoraSelect", {"lora": "x.safetensors"}, "CogVideo/loras/x.safetensors"),
        ("AnimateDiffModuleLoader", {"model_name": "mm.ckpt"}, "AnimateDiff/mm.ckpt"),
        ("AnimateDiffLoraLoader", {"lora_name": "l.ckpt"}, "AnimateDiffLora/l.ckpt"),
        ("ADE_LoadAnimateDiffModel", {"model_name": "mm.ckpt"}, "animatediff_models/mm.ckpt"),
        ("MZ_ChatGLM3Loader", {"chatglm3_checkpoint": "x.safetensors"}, "LLM/x.safetensors"),
        ("LayerMask: YoloV8Detect", {"yolo_model": "x.pt"}, "yolo/x.pt"),
        ("UnetLoaderGGUF", {"unet_name": "x.gguf"}, "diffusion_models/x.gguf"),
        ("WanVideoVACEModelSelect", {"vace_model": "x.safetensors"}, "diffusion_models/x.safetensors"),
        ("WanVideoExtraModelSelect", {"extra_model": "x.safetensors"}, "diffusion_models/x.safetensors"),
        ("ConditioningLoader", {"conditioning_name": "x.safetensors"}, "embeddings/x.safetensors"),
        ("LayerMask: ObjectDetectorYOLO8", {"yolo_model": "x.pt"}, "yolo/x.pt"),
        ("AILab_YoloV8", {"yolo_model": "bbox\\x.pt"}, "ultralytics/bbox/x.pt"),
        ("LoadLotusModel", {"model": "x.safetensors"}, "diffusion_models/x.safetensors"),
        ("Load Face Enhance Model (mtb)", {"model_name": "GFPGANv1.4.pth"}, "face_restore/GFPGANv1.4.pth"),
        ("Load Face Swap Model (mtb)", {"faceswap_model": "inswapper_128.onnx"}, "insightface/inswapper_128.onnx"),
        ("Searge_LLM_Node", {"model": "x.gguf"}, "llm_gguf/x.gguf"),
        ("SDLoraLoader", {"lora_name": "x.safetensors"}, "loras/x.safetensors"),
        ("Mikey Sampler", {"model_name": "x.pth"}, "upscale_models/x.pth"),
        ("D2 Image Resize", {"upscale_model": "x.pth"}, "upscale_models/x.pth"),
    ],
)
def test_a_model_belongs_into_the_directory_that_its_node_reads(
    kind: str, given: Mapping[str, object], path: str
) -> None:
    assert paths({"1": {"class_type": kind, "inputs": given}}).keys() == {path}


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (
            "FluxTrainModelSelect",
            ("d.sft", "v.sft", "l.sft", "t.sft"),
            {"diffusion_models/d.sft", "vae/v.sft", "text_encoders/l.sft", "text_encoders/t.sft"},
        ),
        (
            "easy pixArtLoader",
            ("c.pth", "PixArtMS_XL_2", "v.sft", "sd3", "e.sft", 1, "t.sft", "cpu", "default", "l.sft", 1.0),
            {"checkpoints/c.pth", "vae/v.sft", "text_encoders/e.sft", "t5/t.sft", "loras/l.sft"},
        ),
        (
            "easy instantIDApply",
            ("i.bin", "CPU", "c.sft", 1.0, 0.8),
            {"instantid/i.bin", "controlnet/c.sft"},
        ),
        (
            "SD3ModelSelect",
            ("c.sft", "l.sft", "g.sft", "t.sft"),
            {"checkpoints/c.sft", "text_encoders/l.sft", "text_encoders/g.sft", "text_encoders/t.sft"},
        ),
        (
            "ReActorMaskHelper",
            ("bbox/f.pt", 0.5, 10, 3.0, 10, "s.pth", 0, 0.93),
            {"ultralytics/bbox/f.pt", "sams/s.pth"},
        ),
        ("CR Model List", ("a.sft", "A", "b.sft", "B", "None", ""), {"checkpoints/a.sft", "checkpoints/b.sft"}),
        ("CR LoRA List", ("a.sft", "A", 1, 1, "b.sft", "B", 1, 1, "None", "", 1, 1), {"loras/a.sft", "loras/b.sft"}),
        ("OviMMAudioVAELoader", ("mmaudio\\v.sft", "b.sft", "bf16"), {"vae/mmaudio/v.sft", "vae/b.sft"}),
        (
            "GGUF_VLM_ModelLoader",
            ("m.gguf", "p.gguf", "Qwen-VL"),
            {"diffusion_models/m.gguf", "text_encoders/p.gguf", "diffusion_models/p.gguf"},
        ),
        ("VRGDG_SuperGemmaGGUFChat", ("g.gguf", "mmproj.gguf", "custom"), {"LLM/g.gguf", "LLM/mmproj.gguf"}),
        ("Loader", ("c.sft", "v.pt", -1, 512, 768, 1), {"checkpoints/c.sft", "vae/v.pt"}),
        ("VRGDG_OptionalMultiLoraModelOnly", (True, 1, True, "a.sft", 1.0, "b.sft", 1.0), {"loras/a.sft"}),
        ("VRGDG_OptionalMultiLoraModelOnly", (False, 2, True, "a.sft", 1.0, "b.sft", 1.0), set()),
        ("VRGDG_OptionalMultiLoraTwoPassStrengths", (True, 1, "a.sft", 1, 1, "b.sft", 1, 1), {"loras/a.sft"}),
    ],
)
def test_values_without_names_are_read_in_the_order_of_the_nodes_widgets(
    kind: str, values: tuple[object, ...], expected: set[str]
) -> None:
    assert paths(drawn([node(1, kind, values)])).keys() == expected


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"is_low": True}, {"loras/high.sft", "loras/low.sft"}),
        ({"is_low": True, "low_active": False}, {"loras/high.sft"}),
        ({"is_low": False}, {"loras/high.sft"}),
        ({"is_low": True, "on": False}, set()),
    ],
)
def test_a_row_may_name_a_second_file_for_the_other_model(variant: Mapping[str, object], expected: set[str]) -> None:
    row = {"on": True, "lora": "high.sft", "strength": 1, "low_variant_name": "low.sft", **variant}
    found = found_in(drawn([node(1, "WanVideoPowerLoraLoader", ({}, {"type": "Header"}, row, {}, "", "{}"))]))
    assert {f"{model.folder}/{model.name}" for model in found.models} == expected
    assert found.unresolved == ()


@pytest.mark.parametrize(
    ("kind", "preset", "files"),
    [
        ("IPAdapterUnifiedLoader", "STANDARD (medium strength)", ("ip-adapter_sd15.safetensors", "CLIP-ViT-H-14")),
        ("IPAdapterUnifiedLoader", "VIT-G (medium strength)", ("ip-adapter_sdxl.safetensors", "CLIP-ViT-bigG-14")),
        ("IPAdapterUnifiedLoaderFaceID", "FACEID PLUS V2", ("ip-adapter-faceid-plusv2_sdxl_lora.safetensors",)),
        ("IPAdapterUnifiedLoaderCommunity", "Composition", ("ip_plus_composition_sd15.safetensors",)),
    ],
)
def test_a_preset_that_stands_for_files_is_told_and_is_no_download(
    kind: str, preset: str, files: tuple[str, ...]
) -> None:
    found = found_in({"1": {"class_type": kind, "inputs": {"preset": preset}}})
    assert [item.value for item in found.unresolved] == [preset]
    assert all(file in found.unresolved[0].reason for file in (*files, "models/ipadapter", "models/clip_vision"))
    assert [item.place for item in found.self_downloaded] == (
        ["models/insightface/models/buffalo_l/"] if "FaceID" in kind else []
    )


@pytest.mark.parametrize(
    ("kind", "given", "reason"),
    [
        (
            "NunchakuFluxDiTLoader",
            {"model_path": "svdq-int4-flux.1-dev"},
            "all of hf://mit-han-lab/svdq-int4-flux.1-dev/",
        ),
        ("NunchakuFluxDiTLoader", {"model_path": "own"}, "it may be a folder, models/diffusion_models/own,"),
        ("MolmoModelLoader", {"model_name": "molmo-7B"}, "it may be a folder, models/LLM/molmo-7B,"),
    ],
)
def test_a_folder_in_the_place_of_a_file_is_told_with_its_path(
    kind: str, given: Mapping[str, object], reason: str
) -> None:
    found = found_in({"1": {"class_type": kind, "inputs": given}})
    assert found.models == () and [reason in item.reason for item in found.unresolved] == [True]


def test_no_row_tells_a_key_for_a_directory() -> None:
    """Every file of every row stands in a directory: of a kind, or one that the row itself writes as a path."""
    directories = {folder for kind in TABLE["kinds"].values() for folder in kind["folder"].split("|")}
    directories |= {names[0] for names in FOLDERS.values()}
    for kind, row in TABLE["loaders"].items():
        allowed = directories | {word.removeprefix("models/") for of, word in words() if of == kind and "/" in word}
        given = {name.replace("*", "1"): "x.safetensors" for name in row if name != "from"}
        found = found_in({"1": {"class_type": kind, "inputs": given}})
        assert found.models, kind
        assert {model.folder for model in found.models} <= allowed, kind


def test_a_list_may_name_a_key_or_its_directory(commands: Commands, tmp_path: Path) -> None:
    workflow, rows = tmp_path / "w.json", tmp_path / "list.csv"
    loader = {"class_type": "easy kolorsLoader", "inputs": {"chatglm3_name": "glm.safetensors"}}
    workflow.write_text(json.dumps({"1": loader, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}}))
    for folder in ("llm", "LLM", "models/LLM"):
        rows.write_text(
            f"filename,folder,url\nglm.safetensors,{folder},https://huggingface.co/a/b/resolve/main/glm.safetensors\n"
        )
        done = commands.run("workflow", "manifest", workflow, "--catalog", rows)
        assert done.returncode == 0, done.stderr
        assert "path: models/LLM/glm.safetensors" in done.stdout
