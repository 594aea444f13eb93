"""The commands: what each is for, which settings it takes, and where its code is. Imports none of it."""

from __future__ import annotations

from prefetch.commands.table.comfyui import COMFYUI
from prefetch.commands.table.command import Command, Outcome
from prefetch.commands.table.entry import ENTRY
from prefetch.commands.table.image import IMAGE
from prefetch.commands.table.program import AUTH_CHECK, COMPLETION, DEMO, SCHEMA
from prefetch.commands.table.runpod import RUNPOD
from prefetch.commands.table.volume import VOLUME

__all__ = ["COMMANDS", "Command", "Outcome"]

COMMANDS: tuple[Command, ...] = (
    *VOLUME,
    AUTH_CHECK,
    *COMFYUI,
    *IMAGE,
    *RUNPOD,
    COMPLETION,
    *ENTRY,
    SCHEMA,
    DEMO,
)
"""In the order in which they are listed."""
