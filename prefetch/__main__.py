"""``prefetch`` and ``python -m prefetch``."""

from __future__ import annotations

import gc
from typing import NoReturn

from prefetch.cli import main as run_command_line
from prefetch.signals import leave_at_once

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and end the process.

    A run with nothing to do is over in less time than Python takes to collect garbage while modules are imported and to
    take itself down at the end; so it does neither. Everything written was flushed when it was written.
    """
    gc.disable()
    leave_at_once(run_command_line())


if __name__ == "__main__":
    main()
