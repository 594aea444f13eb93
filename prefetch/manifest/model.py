"""The form of a manifest: its keys, their types and rules, and the JSON Schema that editors read."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from prefetch.sources.refs import parse_source
from prefetch.volume.paths import check_model_path

__all__ = ["Manifest", "Model", "manifest_schema", "schema_json"]

_LARGEST = 2**63 - 1


def _checked_path(text: str) -> str:
    check_model_path(text)
    return text


def _checked_source(text: str) -> str:
    parse_source(text)
    return text


def _checked_include(text: str) -> str:
    if not text.isprintable() or "\\" in text or text.startswith("/") or not text.strip():
        raise ValueError("write a file's path relative to this file, with forward slashes, as in extras.yaml.")
    return text


ModelPath = Annotated[StrictStr, AfterValidator(_checked_path)]
SourceText = Annotated[StrictStr, Field(max_length=4096), AfterValidator(_checked_source)]
Sha256 = Annotated[StrictStr, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
GroupName = Annotated[StrictStr, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
IncludePath = Annotated[StrictStr, AfterValidator(_checked_include)]


class Model(BaseModel):
    """One file that is wanted on the volume."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"dependentRequired": {"mirrors": ["sha256"]}}
    )

    path: ModelPath = Field(
        description="Where the file belongs: a path below the volume's root, with forward slashes.",
        examples=["models/vae/wan_2.1_vae.safetensors"],
    )
    source: SourceText = Field(
        description="Where its bytes come from: hf://owner/repo[@revision]/path, https://, civitai:VERSION, or file://.",
        examples=["hf://Comfy-Org/Wan_2.1_ComfyUI_repackaged@main/split_files/vae/wan_2.1_vae.safetensors"],
    )
    mirrors: tuple[SourceText, ...] = Field(
        default=(),
        description="Other sources of the same bytes, tried in order when the first fails. They need a sha256.",
        examples=[["hf://marduk191/rife/rife47.pth"]],
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="The file's SHA-256 as 64 hexadecimal digits. Without it the host's word is taken.",
        examples=["2fc39d31359a4b0a64f55876d8ff7fa8d780956ae2cb13463b0223e15148976b"],
    )
    size: Annotated[StrictInt, Field(ge=0, le=_LARGEST)] | None = Field(
        default=None, description="The file's size in bytes.", examples=[253815318]
    )
    groups: tuple[GroupName, ...] = Field(
        default=(),
        description="Names by which `--group` selects this model.",
        examples=[["i2v"]],
    )
    node_path: ModelPath | None = Field(
        default=None,
        description="Where a custom node insists on the file: a path below ComfyUI's folder.",
        examples=["custom_nodes/comfyui-frame-interpolation/ckpts/rife/rife47.pth"],
    )

    @model_validator(mode="after")
    def _pinned_where_needed(self) -> Model:
        if self.sha256 is not None:
            return self
        if self.mirrors:
            raise ValueError(
                "mirrors need a sha256, for nothing else shows that they hold the same file; add it or drop them."
            )
        if parse_source(self.source).needs_sha256:
            raise ValueError(
                "a source over plain http:// needs a sha256, for anyone on the way can change the bytes; add it or use "
                "https://."
            )
        return self


class Manifest(BaseModel):
    """The models that a ComfyUI volume shall hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="prefetch manifest")

    version: Literal[1] = Field(description="The version of this form.")
    models: tuple[Model, ...] = Field(default=(), description="The files that are wanted.")
    include: tuple[IncludePath, ...] = Field(
        default=(),
        max_length=64,
        description="Other manifests, relative to this file and inside the folder of the first one.",
        examples=[["extras.yaml"]],
    )


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}


def schema_json() -> str:
    """`manifest_schema` as text, the same on every call."""
    return json.dumps(manifest_schema(), indent=2) + "\n"
