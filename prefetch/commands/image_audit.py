"""``prefetch image audit``: what an image stores, hides and repeats, and the models in it."""

from __future__ import annotations

from prefetch.errors import UsageError
from prefetch.image.accounts import account
from prefetch.image.archive import read_image
from prefetch.image.audit import ImageAudit
from prefetch.report.events import Listener
from prefetch.settings import Settings

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> ImageAudit:
    """Read the image once and lay its layers over one another."""
    if len(settings.archive) != 1:
        raise UsageError(
            f"One image is audited at a time, and {len(settings.archive) or 'none'} was named.",
            remedy="Write for example: prefetch image audit image.tar",
        )
    layers = read_image(settings.archive[0])
    return ImageAudit(str(settings.archive[0]), layers, account([layer.contents for layer in layers]))
