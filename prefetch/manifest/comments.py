"""Entries that stand in a manifest as comments, for want of a source: how they are written, and found again.

Each line begins with "# ", as editors write it: one keystroke takes that off a whole selection. The first and the last
line of the block are comments still when it is taken off.
"""

from __future__ import annotations

import re

__all__ = ["BEGIN", "BLOCK", "END", "left_open"]

BEGIN = "# # Not resolved: "
END = "# # End of what is not resolved."

BLOCK = re.compile(rf"^{re.escape(BEGIN)}.*?(?:^{re.escape(END)}$|\Z)", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"""^[ \t]*#[# \t]*-[ \t]+path:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)


def left_open(text: str, *, anywhere: bool) -> list[str]:
    """The paths of the entries that stand in ``text`` as comments.

    Args:
        anywhere: whether every one counts, and not only those in a block of what is not resolved: of a manifest that
            wants nothing, all that stands in it is of interest.
    """
    parts = [text] if anywhere else BLOCK.findall(text)
    return [path for part in parts for path in _PATH.findall(part)]
