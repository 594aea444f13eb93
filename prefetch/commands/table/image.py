"""The commands about container images."""

from __future__ import annotations

from prefetch.commands.table.command import Command
from prefetch.commands.table.options import OUTPUT

__all__ = ["IMAGE"]

IMAGE: tuple[Command, ...] = (
    Command(
        name="image audit",
        help="tell what a container image carries, and how often",
        about="Reads a saved image (docker save, buildah push, an OCI layout, or a root file system) once and tells "
        "what each layer stores, what later layers hide of it, what is stored more than once, and which models "
        "are in it, by their content. With --manifest, it writes them down as a manifest, each with its source where a "
        "catalog knows a file of the same SHA-256; what has no source stands in it as a comment, and makes the exit "
        "code 1.",
        options=("archive", "manifest_out", "catalog", *OUTPUT),
        examples=(
            ("prefetch image audit image.tar", "after: docker save -o image.tar IMAGE"),
            ("prefetch image audit image.tar --manifest models.yaml", "and its models as a manifest"),
            ("prefetch image audit / --json", "the file system of this machine, as JSON"),
        ),
        load="prefetch.commands.image_audit:main",
    ),
)
