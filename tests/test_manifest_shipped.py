"""The manifests and the schema that come with the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prefetch.manifest import Wanted, load_manifests, manifest_schema, schema_json
from prefetch.sources.refs.source import parse_source

FOLDER = Path(__file__).parent.parent / "manifests"


def load(name: str, *groups: str) -> Wanted:
    return load_manifests([FOLDER / name], groups=groups)


def test_the_seven_seeds() -> None:
    wanted = load("wan22-i2v-lightning.yaml", "i2v")
    assert [(entry.model.path, entry.model.size) for entry in wanted.entries] == [
        ("models/vae/wan_2.1_vae.safetensors", 253815318),
        ("models/text_encoders/umt5-xxl-encoder-Q5_K_M.gguf", 4145878880),
        ("models/diffusion_models/Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf", 15406608896),
        ("models/diffusion_models/Wan2.2-I2V-A14B-LowNoise-Q8_0.gguf", 15406608896),
        ("models/loras/Wan22_A14B_T2V_HIGH_Lightning_4steps_lora_250928_rank128_fp16.safetensors", None),
        ("models/loras/Wan22_A14B_T2V_LOW_Lightning_4steps_lora_250928_rank64_fp16.safetensors", None),
        ("models/vfi/rife/rife47.pth", 21344827),
    ]


def test_the_eight_extras() -> None:
    wanted = load("extras.yaml")
    assert {Path(entry.model.path).name: entry.model.groups for entry in wanted.entries} == {
        "wan2.2_vae.safetensors": ("wan22-ti2v",),
        "qwen_image_vae.safetensors": ("qwen-image",),
        "qwen_2.5_vl_7b_fp8_scaled.safetensors": ("qwen-image",),
        "Qwen_Image_Distill-Q8_0.gguf": ("qwen-image",),
        "v1-5-pruned-emaonly-fp16.safetensors": ("sd15",),
        "RealESRGAN_x2plus.pth": ("upscale",),
        "illustriousXL_v01.safetensors": ("illustrious",),
        "chromaAnimeAIO_chromaAnimeAIOV1FP8.safetensors": ("chroma-anime",),
    }


def test_they_go_together() -> None:
    wanted = load_manifests([FOLDER / "wan22-i2v-lightning.yaml", FOLDER / "extras.yaml"])
    assert len(wanted.entries) == 15


@pytest.mark.parametrize("name", ["wan22-i2v-lightning.yaml", "extras.yaml"])
def test_hash_and_size_are_known_together_and_every_hub_file_names_its_revision(name: str) -> None:
    for entry in load(name).entries:
        assert (entry.model.sha256 is None) == (entry.model.size is None)
        for source in (entry.model.source, *entry.model.mirrors):
            assert not source.startswith("hf://") or re.match(r"hf://[^/]+/[^/@]+@(main|[0-9a-f]{40})/", source)
            assert parse_source(source)


@pytest.mark.parametrize("name", ["wan22-i2v-lightning.yaml", "extras.yaml"])
def test_editors_find_the_schema(name: str) -> None:
    first = (FOLDER / name).read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=manifest.schema.json"


def test_the_checked_in_schema_is_current() -> None:
    stored = (FOLDER / "manifest.schema.json").read_text(encoding="utf-8")
    assert stored == schema_json(), "write it anew: prefetch schema > manifests/manifest.schema.json"


def test_the_schema_is_closed_and_explains_every_key() -> None:
    schema = manifest_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for part in (schema, schema["$defs"]["Model"]):
        assert part["additionalProperties"] is False
        assert all(key["description"] for key in part["properties"].values())
    assert schema["required"] == ["version"]
    assert schema["$defs"]["Model"]["required"] == ["path", "source"]
