"""Manifests → a target, and the last good one kept on the volume. Blocking calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from prefetch.errors import PrefetchError
from prefetch.expansion import remember
from prefetch.given import Written
from prefetch.manifest import Wanted
from prefetch.opening import wanted_of
from prefetch.report.events import Listener, Notice
from prefetch.settings import Settings
from prefetch.sidecar.memory import Memory
from prefetch.sidecar.target import Target
from prefetch.volume.layout import Volume

__all__ = ["Loader"]


class Loader:
    """Reads manifests as the settings say."""

    def __init__(self, volume: Volume, settings: Settings, memory: Memory, listener: Listener) -> None:
        self._volume = volume
        self._settings = settings
        self._memory = memory
        self._listener = listener

    def load(self, manifests: Sequence[Path | Written]) -> Target:
        """Read manifests that are at hand, and remember them; raises what `wanted_of` does.

        Raises:
            UsageError: no model is in a group that ``--group`` or ``--require`` names.
        """
        target = self._read(manifests, self._settings)
        try:
            self._memory.keep(target, self._volume)
        except PrefetchError as error:
            self._listener(Notice("warning", f"No copy of the manifest could be kept on the volume. {error}"))
        return target

    def recall(self) -> Target | None:
        """What was wanted the last time; None where nothing of use is remembered."""
        try:
            manifest = self._memory.manifest(self._volume)
            # The copy has what a lock said of its models, and no lock of its own.
            settings = replace(self._settings, locked=False)
            return None if manifest is None else replace(self._read([manifest], settings), copied=True)
        except PrefetchError:
            return None

    def _read(self, manifests: Sequence[Path | Written], settings: Settings) -> Target:
        wanted = self._wanted(manifests, settings)
        whole = self._wanted(manifests, replace(settings, group=())) if settings.group else wanted
        first = self._wanted(manifests, replace(settings, group=settings.require)) if settings.require else None
        return Target(wanted, whole, first)

    def _wanted(self, manifests: Sequence[Path | Written], settings: Settings) -> Wanted:
        learned = partial(remember, self._volume)
        return wanted_of(manifests, self._volume, settings, self._listener, learned=learned)
