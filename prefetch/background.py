"""A command of this program that goes on beside, and outlives, the process that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from prefetch.settings import option_names, variable_of

__all__ = ["start"]


def start(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Start ``prefetch WORDS`` in a session of its own and give its process id.

    Its settings are those among the words only; tokens and addresses it has from ``environ``. All it writes goes to our
    standard error, as plain lines: what stands on the terminal is somebody else's by then.
    """
    settings = set(map(variable_of, option_names()))
    environment = {name: value for name, value in environ.items() if name not in settings}
    # Nobody waits for it: this process becomes another program, and is its parent still.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "prefetch", *words],
        env={**environment, "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        stderr=sys.stderr.fileno(),
        start_new_session=True,
        cwd=os.sep,
    )
    process.returncode = 0  # else its destructor would call it forgotten
    return process.pid
