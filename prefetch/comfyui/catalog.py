"""Where models are to be had: what the lists that a person points at offer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefetch.comfyui.homes import node_home
from prefetch.comfyui.workflow.naming import AnyOf

__all__ = ["Catalog", "Offer"]

_GENERIC = frozenset({"diffusion_pytorch_model", "model", "pytorch_model", "pytorch_lora_weights"})


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that a list knows a source of.

    Attributes:
        home: its path below the volume, by its folder's modern name; empty where only a node's folder is known.
        fields: the keys of a manifest's entry beside ``path``.
    """

    home: str
    fields: Mapping[str, Any]
    node_path: str | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that the lists know; the first list wins.

    Attributes:
        unusable: a sentence on each row that is no offer, or on how many more there are.
    """

    offers: Sequence[Offer] = field(default_factory=tuple)
    unusable: Sequence[str] = field(default_factory=tuple)

    def model(self, home: str) -> Offer | None:
        """The file at a path, else the one of that name in that folder's other sub-folders, where all lists agree."""
        exact = next((offer for offer in self.offers if offer.home == home), None)
        if exact is not None:
            return exact
        folder, name = home.split("/")[1], home.rpartition("/")[2]
        if name.rpartition(".")[0].casefold() in _GENERIC:
            return None
        same = [o for o in self.offers if o.home.startswith(f"models/{folder}/") and o.home.rpartition("/")[2] == name]
        return same[0] if len({offer.fields["source"] for offer in same}) == 1 else None

    def any_of(self, folder: str, any_of: AnyOf) -> list[Offer]:
        """The files below a folder of ``models`` that a short name may mean, one for each source."""
        beginning = f"models/{folder}/"
        below = {o.home.removeprefix(beginning): o for o in reversed(self.offers) if o.home.startswith(beginning)}
        return list({below[name].fields["source"]: below[name] for name in any_of.choose(below)}.values())

    def content(self, sha256: str) -> Offer | None:
        """The file of that hash, 64 lower-case hex digits, whatever it is called."""
        return next((offer for offer in self.offers if offer.fields.get("sha256") == sha256), None)

    def node_file(self, node_path: str) -> Offer | None:
        """The file that a node looks for at a place below ComfyUI's folder."""
        home = node_home(node_path)
        return next((o for o in self.offers if o.node_path is not None and node_home(o.node_path) == home), None)

    def embedding(self, name: str) -> Offer | None:
        """The textual inversion of a name that may lack its ending."""
        home = f"models/embeddings/{name}"
        return next((o for o in self.offers if home in (o.home, o.home.rpartition(".")[0])), None)
