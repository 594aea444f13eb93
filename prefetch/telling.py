"""What a person should know: of the wanted models, of the volume's state, and of questions that are asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prefetch.comfyui.misplaced import warn_misplaced
from prefetch.report.humanize import count, enumerated, shorten
from prefetch.report.notice import Listener, Notice, asked_again

if TYPE_CHECKING:
    from prefetch.errors import TransientError
    from prefetch.volume.layout import Volume

__all__ = ["tell_of", "tell_retries", "tell_set_aside", "tell_unrecorded"]


def tell_of(paths: Sequence[str], unpinned: Sequence[str], *, layout: str, listener: Listener) -> None:
    """Name the models that nothing pins, and those that ComfyUI, or the layout's image, will not find."""
    warn_misplaced(paths, listener)
    if unpinned:
        from prefetch.pinning import tell_unpinned

        tell_unpinned(unpinned, listener)
    if layout != "modern":
        from prefetch.arranging import tell_unseen

        tell_unseen(paths, listener)


def tell_set_aside(volume: Volume, listener: Listener) -> None:
    """Name once what was met below ``.prefetch`` that nobody goes by: it is torn, forged or somebody else's."""
    if volume.set_aside:
        names = enumerated([shorten(name, 48) for name in sorted(volume.set_aside)])
        one = len(volume.set_aside) == 1
        message = (
            f"{count(len(volume.set_aside), 'file')} in {volume.state} cannot be prefetch's and "
            f"{'is' if one else 'are'} ignored: {names}. 'prefetch prune MANIFEST… --yes' removes "
            f"{'it' if one else 'them'}."
        )
        volume.set_aside.clear()
        listener(Notice("warning", message))


def tell_unrecorded(volume: Volume, listener: Listener) -> None:
    """Say once that the volume took no record of what was found whole on it, and why."""
    if volume.unrecorded:
        why = volume.unrecorded[0].message
        volume.unrecorded.clear()
        listener(Notice("warning", f"what stands on the volume is not recorded, so the next run looks again: {why}"))


def tell_retries(listener: Listener) -> Callable[[TransientError, int, float], None]:
    """What says, of each question that failed and is asked again, why and when."""

    def tell(error: TransientError, attempt: int, delay: float) -> None:
        listener(asked_again(error, delay))

    return tell
