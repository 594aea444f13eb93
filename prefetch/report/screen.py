"""The terminal's live area, drawn with rich. Imported only once there is something to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
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
        self._drawn: list[int] = []
        self._width = self._console.width
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
        self._drawn = []
        for row in self._draw(options.max_width, console.height):
            self._drawn.append(min(sum(cell_len(text) for text, _ in row), options.max_width))
            yield Text.assemble(*((text, _STYLES.get(style, "")) for text, style in row), no_wrap=True, overflow="crop")

    def refresh(self) -> None:
        """Draw the live rows as they are now."""
        self._clear_wrapped()
        self._live.refresh()

    def print(self, line: str, style: str = "") -> None:
        """Write a permanent line above the live rows."""
        self._clear_wrapped()
        text = printable(line)
        # Wrapped between words; a path longer than a line is left to the terminal, from which it can be copied whole.
        unbreakable = max(map(len, text.split()), default=0) >= self._console.width
        self._console.print(Text(text, style=style), soft_wrap=unbreakable)

    def close(self) -> None:
        """Take the live rows away and give the cursor back."""
        self._clear_wrapped()
        self._live.stop()

    def _clear_wrapped(self) -> None:
        """After the window was narrowed, clear the lines into which the terminal has broken the rows.

        rich clears as many lines as it has drawn, so that what is wrapped further up would stay for ever.
        """
        width, before = self._console.width, self._width
        self._width = width
        if width < before:
            wrapped = sum(max(length - 1, 0) // width for length in self._drawn)
            line = ((ControlType.CARRIAGE_RETURN,), (ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            self._console.control(Control(*(line * wrapped)))
