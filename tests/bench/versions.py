"""The versions of all that takes part."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence

from tests.bench.ours import OURS, PREFETCH
from tests.bench.peers import PEERS
from tests.support.slots import tool_environment

__all__ = ["versions_of"]

PROGRAMS = {OURS: PREFETCH.version} | {name: peer.version for name, peer in PEERS.items()}
EVERYWHERE = {
    "curl": ["curl", "--version"],
    "dd": ["dd", "--version"],
    "OpenSSL": ["openssl", "version"],
    "nginx": ["nginx", "-v"],
    "MooseFS": ["mfsmaster", "-v"],
}
NUMBER = re.compile(r"\d+(\.\d+)+\w*")


def versions_of(names: Iterable[str]) -> list[str]:
    """Name and number of each program among ``names``, and of what all of them are measured with."""
    programs = {name: PROGRAMS[name] for name in names if name in PROGRAMS} | EVERYWHERE
    return [f"{name} {_number(command)}" for name, command in programs.items()]


def _number(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=tool_environment())
    found = NUMBER.search(done.stdout or done.stderr)
    return found[0] if found else "of unknown version"
