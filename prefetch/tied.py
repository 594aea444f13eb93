"""``python -m prefetch.tied PID WORDS``: as ``prefetch WORDS``, stopped by SIGTERM when its parent PID is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import NoReturn

from prefetch.__main__ import main as run

__all__ = ["main"]

EVERY = 1.0
"""Seconds between two looks."""


def main() -> NoReturn:
    """Do what the words say, and watch the parent meanwhile."""
    parent = int(sys.argv.pop(1))
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    run()


def _watch(parent: int) -> None:
    # An orphan gets another parent.
    while os.getppid() == parent:
        time.sleep(EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
