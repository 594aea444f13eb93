"""What is left to do, decided from what stands on the volume and what the hosts say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from prefetch.survey import Standing

__all__ = ["Absent", "Link", "Plan", "make_plan"]


class Absent(Protocol):
    """A model that is not there, as far as its hash and size are known."""

    @property
    def standing(self) -> Standing: ...
    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str | None: ...
    @property
    def size(self) -> int | None: ...


A = TypeVar("A", bound=Absent)


@dataclass(frozen=True, slots=True)
class Link(Generic[A]):
    """A model whose bytes stand, or will stand, at another model's path too."""

    model: A
    same_as: str


@dataclass(frozen=True, slots=True)
class Plan(Generic[A]):
    """The work of a run: what to fetch from where, and what then to link.

    Attributes:
        resumed: bytes of each path that partial files of earlier runs hold.
    """

    fetch: tuple[A, ...]
    link: tuple[Link[A], ...]
    resumed: Mapping[str, int]

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes still to be received, as far as the sizes are known."""
        return sum(max(0, (model.size or 0) - self.resumed.get(model.path, 0)) for model in self.fetch)

    @property
    def bytes_resumed(self) -> int:
        """Bytes that need not be received again."""
        return sum(self.resumed.get(model.path, 0) for model in self.fetch)

    @property
    def unknown_sizes(self) -> int:
        """How many models are to be fetched whose host does not tell how large they are."""
        return sum(1 for model in self.fetch if model.size is None)


def make_plan(absent: Iterable[A], *, here: Mapping[str, str], resumed: Mapping[str, int]) -> Plan[A]:
    """Fetch each content once, whatever number of paths it is wanted at.

    Args:
        here: path of a verified model on the volume, by its SHA-256.
        resumed: bytes in partial files, by path.
    """
    fetch: list[A] = []
    link: list[Link[A]] = []
    paths = dict(here)
    for model in absent:
        other = None if model.sha256 is None else paths.setdefault(model.sha256, model.path)
        # Another process may have placed a model at its own path since it was found absent: its turn will show that.
        if other in (None, model.path):
            fetch.append(model)
        else:
            link.append(Link(model, other))
    return Plan(tuple(fetch), tuple(link), resumed)
