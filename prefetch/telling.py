"""What a person should know of the wanted models before a run, whether it has anything to do or not."""

from __future__ import annotations

from collections.abc import Sequence

from prefetch.report.notice import Listener

__all__ = ["tell_of"]


def tell_of(paths: Sequence[str], unpinned: Sequence[str], *, layout: str, listener: Listener) -> None:
    """Name the models that nothing pins, and those that the layout's image will not find."""
    if unpinned:
        from prefetch.pinning import tell_unpinned

        tell_unpinned(unpinned, listener)
    if layout != "modern":
        from prefetch.arranging import tell_unseen

        tell_unseen(paths, listener)
