"""What is done about models that are there: their lock, their record, what is removed."""

from __future__ import annotations

from dataclasses import dataclass, field

from prefetch import values
from prefetch.settings.option import option, switch

__all__ = ["Upkeep"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Upkeep:
    """What is done about a lock, and about a volume that was filled."""

    __slots__ = ()

    upgrade: str | None = field(
        default=None,
        metadata=option(
            values.name("a model's path or a pattern", "'models/loras/*'", "PATH"),
            "ask the hosts anew for this model, or for all of them, and change the lock",
            alone="*",
        ),
    )
    check: bool = field(
        default=False,
        metadata=switch("only compare the manifest with its lock, offline; exit code 1 if they disagree"),
    )
    blocks: bool = field(
        default=False,
        metadata=switch(
            "write the digest of every block too: from the volume's records, or else by reading the models"
        ),
    )
    quick: bool = field(default=False, metadata=switch("compare sizes and times with the record, read no model"))
    yes: bool = field(default=False, metadata=switch("do what is listed, without a question"))
    replaced: bool = field(
        default=False,
        metadata=switch("list also the files that stood under a model's name before and were kept"),
    )
    history: bool = field(default=False, metadata=switch("list the runs of the past instead"))
