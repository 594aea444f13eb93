"""From a fat image to a slim one at 1:1000, measured: ``python -m tests.images.story`` writes docs/image-story.md.

Needs root, buildah and debootstrap. Three images on one small Debian: every model copied in a layer of its own and then
moved to its place by another (how the 203 GB image came about); the wanted ones put there by one command; and none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from prefetch.demo.content import SyntheticFile, kind_of
from prefetch.demo.seeds import Seed, manifest, seed_set
from prefetch.manifest import load_manifests
from prefetch.report import humanize
from tests.support.containers import Buildah, debian_base, own_storage

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "image-story.md"
SCALE = 1000
SEED_TOTAL = 37_078_256_817
"""Bytes of the seven models at full size; those of the two LoRAs are the demonstration's stand-ins."""
BASE = "localhost/base"
KNOWN = "known.yaml"

PAGE_HEAD = f"""# Three images, one set of models

Made by `python -m tests.images.story` (as root; needs buildah and debootstrap). The models are synthetic and 1/{SCALE}
of the real ones' size: the seven of [wan22-i2v-lightning.yaml](../manifests/wan22-i2v-lightning.yaml), and those of
[extras.yaml](../manifests/extras.yaml) whose size is known, which the workflow does not need. The base is a small
Debian; what counts is what each image adds to it. The figures are those of `prefetch image audit --json`.

"""

TABLE_HEAD = """\
| models in the image | layers | stored | models | hidden by later layers | stored before |
|---|---|---|---|---|---|
"""

PAGE_FOOT = """
Putting the same seven files there by one command saves {share} of the first image: moving a file in a later layer
stores it again, and deleting one there frees nothing. The second still stores every model, and stores them again at
each change of one. The third adds {added}.

The way out of the first is `prefetch image audit` with `--manifest`: given a manifest of the seven as its catalog, it
wrote down {resolved} models with their sources, and left {left} to be resolved. What a later layer
deleted is not among them.
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One image of the story: what was done, and what the audit says of what it adds to the base."""

    title: str
    layers: int
    stored: int
    models: int
    hidden: int
    duplicated: int
    resolved: int
    left: int

    def row(self) -> str:
        """The image's row in the table."""
        sizes = (self.stored, self.models, self.hidden, self.duplicated)
        return " | ".join(["", self.title, str(self.layers), *map(humanize.size, sizes), ""]).strip()


def main() -> None:
    """Build the three, audit them, write the page."""
    needed = seed_set(SEED_TOTAL // SCALE)
    extras = list(known_extras())
    with own_storage(Path("/var/tmp/prefetch-image-story")) as buildah, tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        debian_base(buildah, BASE)
        (context / KNOWN).write_text(manifest(needed))
        for seed in (*needed, *extras):
            write(context / "models" / seed.path, seed.content)
        told = [
            built(buildah, context, "a layer a model, then moved to its place", fat(needed, extras)),
            built(buildah, context, "the seven in one `RUN`", single(needed)),
            built(buildah, context, "none: they are on the volume", []),
        ]
    PAGE.write_text(PAGE_HEAD + table(told))


def known_extras() -> Iterator[Seed]:
    """The models that the workflow does not need, as far as their size is known."""
    for number, entry in enumerate(load_manifests([ROOT / "manifests" / "extras.yaml"]).entries, 100):
        if entry.model.size is not None:
            path = entry.model.path.removeprefix("models/")
            name = PurePosixPath(path).name
            yield Seed(path, SyntheticFile(name, max(entry.model.size // SCALE, 8192), kind_of(name), seed=number))


def write(path: Path, content: SyntheticFile) -> None:
    """The model as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.read(0, content.size))


def fat(needed: Sequence[Seed], extras: Sequence[Seed]) -> list[str]:
    """One COPY a model, one RUN that brings them where ComfyUI looks, and one that drops what nobody used."""
    copies = [f"COPY models/{seed.path} /downloads/{seed.path}" for seed in (*needed, *extras)]
    unused = " ".join(f"/comfyui/models/{seed.path}" for seed in extras)
    return [*copies, "RUN mkdir -p /comfyui && mv /downloads /comfyui/models", f"RUN rm {unused}"]


def single(needed: Sequence[Seed]) -> list[str]:
    """One RUN for all."""
    copies = (f"install -D /context/models/{seed.path} /comfyui/models/{seed.path}" for seed in needed)
    return ["RUN --mount=type=bind,target=/context " + " && ".join(copies)]


def built(buildah: Buildah, context: Path, title: str, steps: Sequence[str]) -> Told:
    """Build the image and audit what it adds to its base."""
    dockerfile = context / "Dockerfile"
    dockerfile.write_text("\n".join([f"FROM {BASE}", *steps, "LABEL story=told", ""]))
    buildah.build(dockerfile, context, tag="localhost/told")
    archive = context / "image.tar"
    archive.unlink(missing_ok=True)
    audit = audited(buildah.save("localhost/told", archive), known=context / KNOWN)
    archive.unlink()
    added = [layer for layer in audit["layers"][1:] if layer["files"]]
    sums = {name: sum(layer[name] for layer in added) for name in ("stored", "models", "hidden", "duplicated")}
    found = audit["manifest"]
    return Told(title, len(added), **sums, resolved=len(found["added"]), left=len(found["open"]))


def audited(archive: Path, *, known: Path) -> dict[str, Any]:
    """What the command says of the image and, by the catalog of what is known, of its models."""
    output = archive.with_suffix(".yaml")
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "prefetch", "image", "audit", str(archive)]
    options = ["--manifest", str(output), "--catalog", str(known), "--json"]
    said = subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout
    document: dict[str, Any] = json.loads(said)
    return document


def table(told: Sequence[Told]) -> str:
    """The table and what it says."""
    fat_image, single_image, slim_image = told
    rows = "".join(f"{image.row()}\n" for image in told)
    share = f"{(fat_image.stored - single_image.stored) / fat_image.stored:.0%}"
    added = humanize.size(slim_image.stored)
    figures = {"share": share, "added": added, "resolved": fat_image.resolved, "left": fat_image.left}
    return TABLE_HEAD + rows + PAGE_FOOT.format(**figures)


if __name__ == "__main__":
    main()
