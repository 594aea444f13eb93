"""``prefetch image audit``: what an image stores, hides and repeats, and the models in it; and a manifest of them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prefetch.errors import PrefetchError, UsageError
from prefetch.image.accounts import account
from prefetch.image.archive import read_image
from prefetch.image.audit import ImageAudit
from prefetch.image.reading import Reading
from prefetch.report.humanize import count, printable
from prefetch.report.notice import Listener, Notice
from prefetch.settings import Settings

if TYPE_CHECKING:
    from prefetch.comfyui.catalog import Catalog
    from prefetch.comfyui.workflow.loaders import LoaderTable
    from prefetch.manifest import Wanted
    from prefetch.salvage import Salvage

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> ImageAudit:
    """Read the image once and lay its layers over one another; write its models down where that is asked for."""
    if len(settings.archive) != 1:
        raise UsageError(
            f"One image is audited at a time, and {_named(len(settings.archive))} named.",
            remedy="Write for example: prefetch image audit image.tar",
        )
    output = settings.manifest_out
    if output is None:
        return _audited(settings.archive[0], listener)
    # Whatever can be wrong is said before a hundred gigabytes are read.
    _check_is_new(output)
    catalog, table = _known(settings, listener)
    audit = _audited(settings.archive[0], listener)
    return _with_manifest(audit, catalog, table, output, listener)


def _named(number: int) -> str:
    return f"{number} were" if number else "none was"


def _audited(archive: Path, listener: Listener) -> ImageAudit:
    reading = Reading(lambda sentence: listener(Notice("info", sentence)), total=_size(archive))
    gone: list[str] = []
    layers = read_image(archive, through=reading.through, gone=gone.append)
    if gone:
        listener(Notice("warning", f"{count(len(gone), 'file')} went away while {archive} was read, and do not count."))
    return ImageAudit(str(archive), layers, account([layer.contents for layer in layers]))


def _size(archive: Path) -> int | None:
    with suppress(OSError):
        if archive.is_file():
            return archive.stat().st_size
    return None


def _check_is_new(output: Path) -> None:
    if os.path.lexists(output):
        raise UsageError(
            f"{output} is there already, and is not written over.", remedy="Name a file that does not exist yet."
        )
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{output} cannot be written.", remedy="Check that its folder exists, and your rights there.")


def _known(settings: Settings, listener: Listener) -> tuple[Catalog, LoaderTable]:
    from prefetch.comfyui.lists import read_catalog
    from prefetch.comfyui.workflow import load_table

    table = load_table()
    catalog = read_catalog(settings.catalog, table, load=_locked)
    for sentence in catalog.unusable:
        listener(Notice("warning", printable(sentence)))
    return catalog, table


def _locked(manifest: Path) -> Wanted:
    """What a manifest names, with the hashes of the lock beside it."""
    from prefetch.manifest import load_manifests
    from prefetch.pinning import pin, read_lock

    return pin(load_manifests([manifest]), [read_lock(manifest)])


def _with_manifest(
    audit: ImageAudit, catalog: Catalog, table: LoaderTable, output: Path, listener: Listener
) -> ImageAudit:
    from prefetch.salvage import manifest_text, salvage

    found = salvage(audit.accounts.models, catalog, table)
    document = {
        "output": str(output.absolute()),
        "added": list(found.entries),
        "open": [{"found": left.found, **left.entry, "reason": left.reason} for left in found.left],
        "packaged": list(found.packaged),
    }
    try:
        _write_new(output, manifest_text(found, Path(audit.image).name))
    except OSError as error:
        # The audit itself is not lost for that.
        failure = UsageError(f"{output} cannot be written: {error.strerror}.", remedy="Name another file.")
        return replace(audit, manifest=document, error=failure)
    listener(Notice("info", f"{output}: {_summary(found)}"))
    return replace(audit, manifest=document, error=_left_open(found, output))


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink()
            raise


def _summary(found: Salvage) -> str:
    packaged = f"; {len(found.packaged)} of Python packages left out" if found.packaged else ""
    return f"{count(len(found.entries), 'model')} with a source, {len(found.left)} without{packaged}."


def _left_open(found: Salvage, output: Path) -> PrefetchError | None:
    if not found.left:
        return None
    return PrefetchError(
        f"{count(len(found.left), 'model')} of the image not resolved: see the comments in {output}.",
        remedy="Write what is missing there, or name a --catalog that knows these files.",
    )
