"""What a sidecar is to bring about: the models of its manifests, and which of them are waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from prefetch.expansion import remember
from prefetch.given import Written
from prefetch.manifest import Model, Wanted
from prefetch.manifest.wanted import select
from prefetch.opening import wanted_of
from prefetch.report.events import Listener
from prefetch.settings import Settings
from prefetch.volume.layout import Volume

__all__ = ["Target", "load_target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What the manifests want, as they were at one moment.

    Attributes:
        wanted: everything that is to be brought.
        first: the part of it that ``--require`` names, None where that is all of it.
    """

    wanted: Wanted
    first: Wanted | None = None

    @property
    def models(self) -> Mapping[str, Model | None]:
        """Every model by path; None for a directory whose files are not known."""
        return _models(self.wanted)

    @property
    def required(self) -> Mapping[str, Model | None]:
        """Those that have to be there before the sidecar says ``ready``."""
        return _models(self.wanted if self.first is None else self.first)

    def is_like(self, other: Target | None) -> bool:
        """Whether both want the same, whatever lines and comments the manifests have."""
        return other is not None and (self.models, self.required) == (other.models, other.required)


def load_target(manifests: Sequence[Path | Written], volume: Volume, settings: Settings, listener: Listener) -> Target:
    """Read manifests that are at hand. Blocking; raises what `wanted_of` does.

    Raises:
        UsageError: no model is in a group that ``--group`` or ``--require`` names.
    """
    wanted = wanted_of(manifests, volume, settings, listener, learned=partial(remember, volume))
    if not settings.require:
        return Target(wanted)
    return Target(wanted, select(replace(wanted, folders=()), settings.require))


def _models(wanted: Wanted) -> Mapping[str, Model | None]:
    named: dict[str, Model | None] = {entry.model.path: entry.model for entry in wanted.entries}
    return named | dict.fromkeys(wanted.unlisted)
