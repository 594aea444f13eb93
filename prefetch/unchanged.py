"""Whether all that the last complete run of the same manifests came to still stands: a run with nothing to do.

Reads the manifests' bytes, one document on the volume and the status of each model; no YAML, no record, no model.
Standard library only: the container's entrypoint comes through here before every start.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from prefetch.given import Given, Remote
from prefetch.inputs import read_inputs, unchanged
from prefetch.volume.applied import Applied, AppliedModel, applied_keys, read_applied
from prefetch.volume.layout import Volume
from prefetch.volume.looking import Looking

__all__ = ["find_applied", "groups_of", "in_groups", "looks_the_same", "newest_applied", "still_stands"]


def find_applied(
    volume: Volume,
    manifests: Sequence[Given],
    *,
    groups: Sequence[str],
    layout: str,
    locked: bool,
    by_address: bool = False,
) -> list[AppliedModel] | None:
    """What the last complete run of these very manifests and locks came to, or of that what is in any of ``groups``.

    Args:
        locked: only where a lock pinned every model.
        by_address: whether a manifest at an address may be taken for what it was when it was fetched last.

    Returns:
        None where there was no such run, or what it found is nothing: whoever reads the manifests will tell why.
    """
    if not by_address and any(isinstance(each, Remote) and each.sha256 is None for each in manifests):
        return None
    inputs = read_inputs(manifests)
    if inputs is None or not manifests:
        return None
    for chosen in dict.fromkeys(((), tuple(groups))):
        applied = read_applied(volume, replace(inputs, groups=chosen, layout=layout).key)
        if applied is not None and unchanged(applied.includes, manifests) and (applied.locked or not locked):
            return in_groups(applied, () if chosen else groups) or None
    return None


def still_stands(volume: Volume, models: Iterable[AppliedModel]) -> bool:
    """Whether every one of these files looks as it did when it was verified."""
    looking = Looking(volume)
    stats = ((looking.stat(model["path"]), model) for model in models)
    return all(stat is not None and looks_the_same(stat, model) for stat, model in stats)


def looks_the_same(stat: os.stat_result, model: AppliedModel) -> bool:
    """Whether a file looks as the model did when it was verified."""
    # In whole seconds, rounded down: the volume keeps no more, and the float of `os.stat_result` can round up.
    return (stat.st_size, stat.st_mtime_ns // 1_000_000_000) == (model["size"], model["mtime"])


def newest_applied(volume: Volume) -> Applied | None:
    """What the latest complete run on this volume came to, of whatever manifests.

    One of all that its manifests want goes before one of some groups only, however late that was.
    """
    first: Applied | None = None
    for key in applied_keys(volume):
        if (found := read_applied(volume, key)) is not None and found.models:
            if found.groups == ():
                return found
            first = first or found
    return first


def groups_of(applied: Applied) -> set[str]:
    """The groups that any of the models is in."""
    return {group for model in applied.models for group in model["groups"]}


def in_groups(applied: Applied, groups: Sequence[str]) -> list[AppliedModel]:
    """The models in any of ``groups``, all of them where none is given; none where one of them is no group."""
    if not groups_of(applied).issuperset(groups):
        return []
    return [model for model in applied.models if not groups or not set(groups).isdisjoint(model["groups"])]
