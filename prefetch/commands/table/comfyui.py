"""The commands about ComfyUI: its folders, and what its workflows load."""

from __future__ import annotations

from prefetch.commands.table.command import Command
from prefetch.commands.table.options import OUTPUT

__all__ = ["COMFYUI"]

COMFYUI: tuple[Command, ...] = (
    Command(
        name="comfyui paths",
        help="print the extra_model_paths.yaml that shows ComfyUI the volume",
        about="Prints extra_model_paths.yaml for ComfyUI: every kind of model that it and the nodes of the loader "
        "table know, in the folders of today and of former days, on each volume. Put it beside ComfyUI's main.py; "
        "ComfyUI reads it by itself. Folders of the volume in which ComfyUI does not look are told as warnings.",
        options=("volumes", "kind", "loaders", "log_format"),
        examples=(
            (
                "prefetch comfyui paths > /comfyui/extra_model_paths.yaml",
                "for both of RunPod's mounts",
            ),
            ("prefetch comfyui paths --volume /data --kind my_models", "for one, with a custom node's kind"),
        ),
        load="prefetch.commands.comfyui_paths:main",
    ),
    Command(
        name="workflow models",
        help="tell which model files a ComfyUI workflow loads",
        about="Reads ComfyUI workflows, as its page saves or exports them, or from pictures, videos and sounds, and "
        "tells exactly the model files that each loads: what is muted, bypassed or switched off is not among them. "
        "What cannot be decided is said, and nothing is guessed.",
        options=("workflow_files", "loaders", *OUTPUT),
        examples=(
            ("prefetch workflow models workflow.json", "the files, and which nodes load them"),
            ("prefetch workflow models workflows/*.json --json", "several, as a document"),
        ),
        load="prefetch.commands.workflow_models:main",
    ),
    Command(
        name="workflow manifest",
        help="write the minimal manifest for ComfyUI workflows",
        about="Writes a manifest of exactly the models that the workflows load, with sources from the catalogs and "
        "from the workflows themselves. What has no source stands in it as a comment, and makes the exit code 1. An "
        "existing manifest keeps its comments and its order.",
        options=("workflow_files", "output", "catalog", "loaders", *OUTPUT),
        examples=(
            ("prefetch workflow manifest workflow.json -o models.yaml", "a new manifest, or add to one"),
            ("prefetch workflow manifest workflows/*.json --catalog manifests/", "print one"),
        ),
        load="prefetch.commands.workflow_manifest:main",
    ),
    Command(
        name="workflow check",
        help="compare ComfyUI workflows with manifests and with a volume",
        about="Tells which models of the workflows no manifest names, and which of the manifests' models no workflow "
        "loads, with the bytes they cost; with --volume also whether each is there and verified. Exit code 1 if one is "
        "missing.",
        options=("workflow_files", "manifests", "volume", "loaders", *OUTPUT),
        examples=(
            ("prefetch workflow check workflows/*.json --manifest models.yaml", "for CI"),
            ("prefetch workflow check w.json --manifest models.yaml --volume /workspace", "is all of it there?"),
        ),
        load="prefetch.commands.workflow_check:main",
    ),
)
