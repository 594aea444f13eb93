"""The terminal's live area, drawn with rich. Imported only once there is something to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from prefetch.report.humanize import printable
from prefetch.report.rows import Row

__all__ = ["Screen"]

_STYLES = {"bar": "green", "speed": "cyan", "dim": "dim"}


class Screen:
    """Some lines that are redrawn in place, and permanent lines above them.

    Args:
        stream: the terminal.
        draw: the live rows for a width and a height in characters; asked at each `refresh`.
    """

    def __init__(self, stream: TextIO, draw: Callable[[int, int], Sequence[Row]]) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._draw = draw
        self._live = Live(
            self,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Rendered anew at each refresh and each permanent line, so that neither shows what was.
        for row in self._draw(options.max_width, console.height):
            yield Text.assemble(*((text, _STYLES.get(style, "")) for text, style in row), no_wrap=True, overflow="crop")

    def refresh(self) -> None:
        """Draw the live rows as they are now."""
        self._live.refresh()

    def print(self, line: str, style: str = "") -> None:
        """Write a permanent line above the live rows."""
        text = printable(line)
        # Wrapped between words; a path longer than a line is left to the terminal, from which it can be copied whole.
        unbreakable = max(map(len, text.split()), default=0) >= self._console.width
        self._console.print(Text(text, style=style), soft_wrap=unbreakable)

    def close(self) -> None:
        """Take the live rows away and give the cursor back."""
        self._live.stop()
