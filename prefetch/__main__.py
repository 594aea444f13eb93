"""``prefetch`` and ``python -m prefetch``."""

from __future__ import annotations

import sys
from typing import NoReturn

from prefetch.cli import main as run_command_line
from prefetch.errors import Interrupted
from prefetch.signals import leave_at_once

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and end the process."""
    code = run_command_line()
    if code == Interrupted.exit_code:
        leave_at_once(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
