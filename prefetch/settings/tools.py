"""The tools beside the main job: for workflows, images, ComfyUI's folders, and shells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from prefetch import values
from prefetch.settings.option import option

if TYPE_CHECKING:
    from prefetch.comfyui.paths import ExtraKind

__all__ = ["Tools"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Tools:
    """What these tools read and write."""

    __slots__ = ()

    workflow_files: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("a file's path", "workflow.json", "FILE")),
            "ComfyUI workflows: what its page saves or exports, or a picture, video or sound that it saved",
            positional=True,
        ),
    )
    manifests: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("a file's path", "models.yaml", "MANIFEST")),
            "a manifest to compare with; may be given more than once; without it, PREFETCH_MANIFEST's or the volume's",
            flag="--manifest",
        ),
    )
    loaders: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("a file's path", "my-loaders.yaml", "FILE")),
            "a table of node classes and the models that their inputs name, laid over the built-in one; may be given "
            "more than once",
        ),
    )
    catalog: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("the path of a file or a directory", "manifests/", "FILE|DIR")),
            "where models are to be had: a manifest, a CSV table, ComfyUI-Manager's model-list.json, or a directory of "
            "them; may be given more than once",
        ),
    )
    output: Path | None = field(
        default=None,
        metadata=option(
            values.path("a file's path", "models.yaml", "FILE"),
            "the manifest to write, or to add to; without it, a new one is printed",
            short="-o",
        ),
    )
    archive: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("a file's path", "image.tar", "ARCHIVE")),
            "a saved image, an OCI layout, or a root file system's directory",
            positional=True,
        ),
    )
    manifest_out: Path | None = field(
        default=None,
        metadata=option(
            values.path("a file's path", "models.yaml", "FILE"),
            "the manifest to write, of the image's models; it must not exist yet",
            flag="--manifest",
        ),
    )
    volumes: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("a directory's path", "/workspace", "DIR")),
            "a place where a volume is mounted; may be given more than once; without it, /runpod-volume and /workspace",
            flag="--volume",
        ),
    )
    kind: tuple[ExtraKind, ...] = field(
        default=(),
        metadata=option(
            values.several(
                values.Kind(
                    values.imported("prefetch.comfyui.paths:parse_kind"),
                    "a kind, or a kind and its folder below the volume",
                    "ipadapter",
                    "KIND[=FOLDER]",
                )
            ),
            "a kind of models that a custom node brings, and its folder on the volume (without one, models/KIND); may "
            "be given more than once",
        ),
    )
    shell: tuple[str, ...] = field(
        default=(),
        metadata=option(
            values.several(replace(values.choice("fish", "zsh", "bash"), metavar="SHELL")),
            "the shell that is to complete commands: bash, zsh or fish",
            positional=True,
        ),
    )
