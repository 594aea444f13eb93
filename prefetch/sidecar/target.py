"""What a sidecar is to bring about: the models of its manifests, and which of them are waited for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from prefetch.manifest import Model, Wanted

__all__ = ["Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What the manifests want, as they were at one moment.

    Attributes:
        wanted: everything that is to be brought.
        whole: everything that they name, whatever ``--group`` leaves out.
        first: the part of it that ``--require`` names, None where that is all of it.
        copied: whether this is only what they were the last time, because they cannot be had.
    """

    wanted: Wanted
    whole: Wanted
    first: Wanted | None = None
    copied: bool = False

    @property
    def models(self) -> Mapping[str, Model | None]:
        """Every model by path; None for a directory whose files are not known."""
        return _models(self.wanted)

    @property
    def named(self) -> Collection[str]:
        """The path of every model that the manifests name."""
        return _models(self.whole).keys()

    @property
    def required(self) -> Mapping[str, Model | None]:
        """Those that have to be there before the sidecar says ``ready``."""
        return _models(self.wanted if self.first is None else self.first)

    def is_like(self, other: Target | None) -> bool:
        """Whether both want the same, whatever lines and comments the manifests have."""
        return other is not None and (self.models, self.required) == (other.models, other.required)


def _models(wanted: Wanted) -> Mapping[str, Model | None]:
    named: dict[str, Model | None] = {entry.model.path: entry.model for entry in wanted.entries}
    return named | dict.fromkeys(wanted.unlisted)
