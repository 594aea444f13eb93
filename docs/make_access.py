"""Writes the table of refusals in docs/access.md from what runs against stand-ins say: ``python docs/make_access.py``.

Takes half a minute: every row is a run of the command.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from prefetch.demo.server import running_origin
from tests.support.commands import Commands
from tests.support.refusals import TOKENS, Refusal, refusing_repos, refusing_versions, table
from tests.test_refusals import refused

TARGET = Path(__file__).with_name("access.md")
BEGIN, END = "<!-- refusals -->\n", "<!-- end of refusals -->\n"


def say(refusal: Refusal) -> str:
    """What a run of it says."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_origin(repos=refusing_repos(), versions=refusing_versions(), tokens=TOKENS) as origin,
    ):
        home = Path(folder, "home")
        home.mkdir()
        return refused(Commands(home), origin, Path(folder), refusal)[1]


if __name__ == "__main__":
    before, _, rest = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    TARGET.write_text(f"{before}{BEGIN}{table(say)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
