"""Whether this system can do what a volume takes: directories opened once, and files relative to them."""

from __future__ import annotations

import os

from prefetch.errors import UsageError

__all__ = ["DESCRIPTORS", "check_system"]

DESCRIPTORS = hasattr(os, "O_DIRECTORY") and os.open in os.supports_dir_fd
"""Whether this system opens directories, and files relative to them. Windows does not."""


def check_system(command: str) -> None:
    """Raise UsageError if ``command``, which works on a volume, cannot do so on this system."""
    if not DESCRIPTORS:
        raise UsageError(
            f"'prefetch {command}' needs Linux: this system cannot place files on a volume safely.",
            remedy="Plan and lock here, and fill the volume with 'prefetch runpod populate' or in a Linux container.",
        )
