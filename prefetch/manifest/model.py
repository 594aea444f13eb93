"""The form of a manifest: its keys, their types and rules, and the JSON Schema that editors read."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    field_validator,
    model_validator,
)

from prefetch.sources.refs.folder import folder_meant, names_folder, parse_folder
from prefetch.sources.refs.source import file_name, parse_source, parse_stored_source
from prefetch.volume.paths import check_model_path

__all__ = ["Folder", "Manifest", "Model", "OpenEntry", "manifest_schema", "schema_json"]

_LARGEST = 2**63 - 1


def _checked_path(text: str) -> str:
    check_model_path(text)
    return text


def _checked_source(text: str) -> str:
    parse_stored_source(text)
    return text


def _checked_folder_path(text: str) -> str:
    if not text.endswith("/"):
        raise ValueError(f"the path {text[:80]!a} of a directory has to end with a slash, as its source does.")
    check_model_path(text[:-1])
    return text


def _checked_folder(text: str) -> str:
    parse_folder(text)
    return text


def _checked_pattern(text: str) -> str:
    if not text.isprintable() or not text or text.startswith("/"):
        raise ValueError("write a pattern over the paths below the directory, as in *.json or unet/*.")
    return text


def _checked_include(text: str) -> str:
    if not text.isprintable() or "\\" in text or text.startswith("/") or not text.strip():
        raise ValueError("write a file's path relative to this file, with forward slashes, as in extras.yaml.")
    return text


ModelPath = Annotated[StrictStr, AfterValidator(_checked_path)]
FolderPath = Annotated[StrictStr, AfterValidator(_checked_folder_path)]
FolderText = Annotated[StrictStr, Field(max_length=4096), AfterValidator(_checked_folder)]
Pattern = Annotated[StrictStr, Field(max_length=1024), AfterValidator(_checked_pattern)]
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
        description="Where the file belongs: a path below the volume's root, with forward slashes. One that ends with "
        "a slash is a directory, in which the file keeps its source's name.",
        examples=["models/vae/wan_2.1_vae.safetensors"],
    )
    source: SourceText = Field(
        description="Where its bytes come from: hf://owner/repo[@revision]/path, https://, civitai:VERSION, or file://.",
        examples=["hf://Comfy-Org/Wan_2.1_ComfyUI_repackaged@main/split_files/vae/wan_2.1_vae.safetensors"],
    )
    mirrors: tuple[SourceText, ...] = Field(
        default=(),
        max_length=64,
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
        max_length=64,
        description="Names by which `--group` selects this model.",
        examples=[["i2v"]],
    )
    node_path: ModelPath | None = Field(
        default=None,
        description="Where a custom node insists on the file: a path below ComfyUI's folder.",
        examples=["custom_nodes/comfyui-frame-interpolation/ckpts/rife/rife47.pth"],
    )

    @model_validator(mode="before")
    @classmethod
    def _named_in_its_directory(cls, entry: Any) -> Any:
        path, source = (entry.get(key) for key in ("path", "source")) if isinstance(entry, dict) else (None, None)
        if not (isinstance(path, str) and path.endswith("/") and isinstance(source, str)):
            return entry
        try:
            name = file_name(source)
        except ValueError:
            if meant := folder_meant(source):
                raise ValueError(
                    f"the source of a whole directory ends with a slash, as its path; write {meant}."
                ) from None
            # The source's own error says more than one about the path.
            return entry
        if name is None:
            raise ValueError(f"the path {path[:80]!a} is a directory, and the source names no file; write {path}NAME.")
        return {**entry, "path": path + name}

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


class Folder(BaseModel):
    """All files below one directory of a repository, or those that the patterns choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: FolderPath = Field(
        description="Where the directory belongs: a path below the volume's root that ends with a slash.",
        examples=["models/LLM/Florence-2-base/"],
        json_schema_extra={"pattern": "/$"},
    )
    source: FolderText = Field(
        description="Which directory it is: hf://owner/repo[@revision]/path/, or hf://owner/repo/ for all of it.",
        examples=["hf://microsoft/Florence-2-base/"],
    )
    include: tuple[Pattern, ...] = Field(
        default=(),
        max_length=100,
        description="Patterns over paths below the directory; a file that none of them matches is left out.",
        examples=[["*.json", "*.safetensors"]],
    )
    exclude: tuple[Pattern, ...] = Field(
        default=(),
        max_length=100,
        description="Patterns over paths below the directory; a file that any of them matches is left out.",
        examples=[["*.md"]],
    )
    groups: tuple[GroupName, ...] = Field(
        default=(),
        max_length=64,
        description="Names by which `--group` selects this directory.",
        examples=[["i2v"]],
    )
    node_path: FolderPath | None = Field(
        default=None,
        description="Where a custom node insists on the directory: a path below ComfyUI's folder, with a slash at its "
        "end.",
        examples=["custom_nodes/comfyui_controlnet_aux/ckpts/lllyasviel/Annotators/"],
    )


class OpenEntry(BaseModel):
    """A file that is wanted and whose source nobody has written yet, as `workflow manifest` leaves it to a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: ModelPath = Field(description="Where the file belongs: a path below the volume's root.")
    source: None = Field(description="Left empty until somebody knows where the file is to be had.")
    sha256: Sha256 | None = Field(default=None, description="The file's SHA-256, where it is known.")
    size: Annotated[StrictInt, Field(ge=0, le=_LARGEST)] | None = Field(default=None, description="Its size in bytes.")
    groups: tuple[GroupName, ...] = Field(
        default=(), max_length=64, description="Names by which `--group` selects this model."
    )
    node_path: ModelPath | None = Field(default=None, description="Where a custom node insists on the file.")


def _kind_of(entry: Any) -> str:
    """Which of the three an entry is meant to be: its source tells, and where there is none, its path."""
    known = entry if isinstance(entry, dict) else {}
    if "source" in known and known["source"] is None:
        return "open"
    text = known.get("source", known.get("path"))
    return "folder" if isinstance(text, str) and names_folder(text) else "file"


class Manifest(BaseModel):
    """The models that a ComfyUI volume shall hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="prefetch manifest")

    version: Literal[1] = Field(description="The version of this form.")
    models: tuple[
        Annotated[
            Annotated[Model, Tag("file")] | Annotated[Folder, Tag("folder")] | Annotated[OpenEntry, Tag("open")],
            Discriminator(_kind_of),
        ],
        ...,
    ] = Field(default=(), description="The files, and directories of files, that are wanted.")
    include: tuple[IncludePath, ...] = Field(
        default=(),
        max_length=64,
        description="Other manifests, relative to this file and inside the folder of the first one.",
        examples=[["extras.yaml"]],
    )

    @field_validator("models", mode="before")
    @classmethod
    def _left_empty(cls, models: Any) -> Any:
        return () if models is None else models


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}


def schema_json() -> str:
    """`manifest_schema` as text, the same on every call."""
    return json.dumps(manifest_schema(), indent=2) + "\n"
