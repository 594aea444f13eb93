"""What a sidecar removes: models that its manifests named once and name no more."""

from __future__ import annotations

from prefetch.errors import PrefetchError
from prefetch.pruning import Find, Pruning
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import count, size
from prefetch.sidecar.memory import Memory
from prefetch.sidecar.target import Target
from prefetch.volume.layout import Volume

__all__ = ["prune"]


def prune(target: Target, memory: Memory, volume: Volume, listener: Listener) -> list[str]:
    """Remove what prefetch placed for manifests of ours and they name no more; the paths that are gone. Blocking.

    An empty manifest is taken for an accident, and so is one with a directory that could not be listed: nothing is
    removed then.

    Raises:
        PrefetchError: the volume refuses.
    """
    unwanted = memory.unwanted(target, volume)
    if not unwanted or target.whole.unlisted:
        return []
    if not target.named:
        models = count(len(unwanted), "model")
        listener(Notice("warning", f"The manifests name no model at all, so nothing is removed of {models}."))
        return []
    pruning = Pruning(target.whole, volume)
    finds = [find for find in pruning.find() if find.path in unwanted]
    gone = [find for find in finds if _is_removed(find, pruning, listener)]
    pruning.forget(gone)
    kept = {find.path for find in finds} - {find.path for find in gone}
    # What is not there any more, or never was, is nothing to come back to.
    memory.forget(sorted(unwanted - kept), volume)
    return [find.path for find in gone]


def _is_removed(find: Find, pruning: Pruning, listener: Listener) -> bool:
    why = find.why
    try:
        why = why or pruning.remove(find)
    except PrefetchError as error:
        why = str(error)
    if why is None:
        listener(Notice("info", f"removed {find.path}: {size(find.size)}, no manifest names it any more"))
    else:
        listener(Notice("info", f"{find.path} stays, though no manifest names it any more: {why}"))
    return why is None
