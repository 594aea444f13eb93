"""Many files of one repository, asked for together: two questions to the Hub, not one a file. Blocking.

Imported only when there are many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from prefetch.errors import AccessError, PrefetchError
from prefetch.sources.refs.hub import HuggingFaceRef

if TYPE_CHECKING:
    from prefetch.sources.hub import FileFacts, Hub

__all__ = ["FEW", "ask_together", "grouped"]

FEW = 8
"""Files of one revision that are asked for one by one: each then comes with the address its bytes are at."""

_PATHS = 500


def grouped(refs: Iterable[HuggingFaceRef]) -> list[list[HuggingFaceRef]]:
    """The references by repository and revision, where there are more than a few of one."""
    groups: dict[tuple[str, str, str], dict[HuggingFaceRef, None]] = {}
    for ref in refs:
        groups.setdefault((ref.kind, ref.repo, ref.revision), {})[ref] = None
    return [list(group) for group in groups.values() if len(group) > FEW]


def ask_together(hub: Hub, refs: Sequence[HuggingFaceRef]) -> Mapping[HuggingFaceRef, FileFacts | PrefetchError]:
    """What the Hub says of files of one revision; what it leaves out has to be asked for by itself.

    Raises:
        AccessError, SourceError, TransientError: see `Hub.facts`.
    """
    commit, gated = hub.revision(refs[0])
    found: dict[HuggingFaceRef, FileFacts | PrefetchError] = {}
    for at in range(0, len(refs), _PATHS):
        found |= hub.listed(refs[at : at + _PATHS], commit)
    if gated and found:
        # Anybody may list a gated repository: only a file's own address tells whether it may be read.
        first = next(iter(found))
        try:
            hub.facts(replace(first, revision=commit))
        except AccessError as error:
            return dict.fromkeys(found, error)
    return found
