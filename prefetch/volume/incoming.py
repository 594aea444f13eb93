"""A file on its way to its final name: one with blocks and a journal, or one small enough to be kept in memory."""

from __future__ import annotations

from prefetch.volume.draft import Draft
from prefetch.volume.partial import Partial

__all__ = ["Incoming"]

Incoming = Partial | Draft
