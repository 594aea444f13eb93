"""Makes docs/demo.svg from a real run: ``python docs/record_demo.py [VOLUME]``. Needs tmux, and prefetch on PATH.

The demo runs in a terminal of 100 columns. The picture shows that terminal half-way, and what is
new on it at the end.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 100, 30
TARGET = Path(__file__).with_name("demo.svg")


def main() -> None:
    """Run the demo on the volume named on the command line, by default /workspace, and draw what was seen."""
    command = f"prefetch demo --volume {sys.argv[1] if len(sys.argv) > 1 else '/workspace'}"
    screens = list(record(command))
    half_way = min(screens, key=lambda screen: abs(share(screen) - 50))
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    seen = half_way.splitlines()
    rest = "\n".join(line for line in screens[-1].splitlines() if line not in seen)
    for screen in (f"$ {command}\n{half_way}", "", "and at the end, in place of the bars:", "", rest):
        console.print(Text.from_ansi(screen), soft_wrap=True)
    # Fonts of other hosts are left out: the letters' places are given with each text.
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(TARGET), title="prefetch", code_format=form, unique_id="demo")


def record(command: str) -> Iterator[str]:
    """What stands on the terminal, with its colours, several times a second, until the program has ended."""
    tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), f"LC_ALL=C.UTF-8 {command}; echo; read -r _")
    try:
        while True:
            time.sleep(0.2)
            screen = tmux("capture-pane", "-e", "-p").rstrip()
            yield screen
            if "Once more" in screen or "prefetch: error" in screen:
                return
    finally:
        tmux("kill-server")


def share(screen: str) -> float:
    """The per cent in the last line that has any; 0 where none has."""
    shares = re.findall(r"([0-9.]+)%", screen)
    return float(shares[-1]) if shares and "━" in screen else 0.0


def tmux(*words: str) -> str:
    """What tmux prints, in a server of our own."""
    done = subprocess.run(
        ["tmux", "-L", "prefetch-demo", "-f", "/dev/null", *words], check=True, capture_output=True, text=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
