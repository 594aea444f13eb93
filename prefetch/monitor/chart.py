"""A speed over time as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

from prefetch.report import humanize

__all__ = ["ceiling", "chart"]

_WIDTH, _HEIGHT = 600, 100
_ROUND = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


def chart(speeds: Sequence[float], step: float) -> str:
    """The speeds in bytes a second, one for each ``step`` seconds, as a figure; nothing of fewer than two."""
    if len(speeds) < 2:
        return ""
    top = ceiling(max(speeds))
    line = " ".join(
        f"{at * _WIDTH / (len(speeds) - 1):.0f},{_HEIGHT * (1 - speed / top):.1f}" for at, speed in enumerate(speeds)
    )
    told = f"Speed over {humanize.duration(round(len(speeds) * step))}: at most {humanize.rate(max(speeds))}"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{told}">'
        f'<polygon points="0,{_HEIGHT} {line} {_WIDTH},{_HEIGHT}"/><polyline points="{line}"/></svg>'
        f'<span class="top" aria-hidden="true">{humanize.rate(top)}</span>'
        f"<figcaption>{told}</figcaption>"
    )


def ceiling(speed: float) -> float:
    """The next round number."""
    power = 10.0 ** floor(log10(max(speed, 1.0)))
    return next(digit * power for digit in _ROUND if digit * power >= max(speed, 1.0))
