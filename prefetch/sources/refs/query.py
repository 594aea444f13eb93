"""The parameters of a link: each of them means something, or the link is refused. None is dropped unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from prefetch.net.urls import SecretURL
from prefetch.sources.refs.shown import holds_control

__all__ = ["parameters"]


def parameters(url: SecretURL, known: Mapping[str, str], *, remedy: str) -> dict[str, str]:
    """The decoded parameters of a link by their names, as ``known`` spells them.

    Args:
        known: the names that are understood, by their lower-case form.
        remedy: what to write instead, without a full stop.

    Raises:
        ValueError: one that is not understood, stands twice, or has no value: it might select another file.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        key = known.get(name.lower())
        problem = next(_problems(name, value, understood=key is not None, twice=key in found), None)
        if problem is not None or key is None:
            raise ValueError(f"{url} has {problem}, and might mean another file by it; {remedy}.")
        found[key] = value
    return found


def _problems(name: str, value: str, *, understood: bool, twice: bool) -> Iterator[str]:
    shown = repr(name if len(name) <= 40 else name[:39] + "…")
    if not understood:
        yield f"the parameter {shown}, which is not known"
    if twice:
        yield f"the parameter {shown} twice"
    if not value or holds_control(value):
        yield f"the parameter {shown} without a value"
