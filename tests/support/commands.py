"""Run the ``prefetch`` command as a user would: another process, an environment of its own, its own home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Commands", "Outcome", "is_ours"]

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_OURS = ("PREFETCH_", "HF_", "HUGGING_FACE_", "HUGGINGFACE_", "CIVITAI_", "RUNPOD_")
_OURS_BY_NAME = frozenset({"SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})


def is_ours(name: str) -> bool:
    """Whether an environment variable would change what prefetch does, so that no test may inherit it."""
    return name.startswith(_OURS) or name.upper() in _OURS_BY_NAME


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document of ``--json``."""
        document = json.loads(self.stdout)
        assert isinstance(document, dict), self.stdout
        return document

    @property
    def models(self) -> dict[str, dict[str, Any]]:
        """The document's models by their path."""
        return {model["path"]: model for model in self.document["models"]}


@dataclass(frozen=True, slots=True)
class Commands:
    """Starts ``prefetch`` with nothing of the tester's environment but ``env``, and ``home`` as HOME.

    ``prefix`` is a program with its arguments that is to start it.
    """

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def run(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60.0,
        stdin: str = "",
    ) -> Outcome:
        """Run ``prefetch ARGUMENTS`` to its end; ``timeout`` is in seconds and kills it."""
        with self.start(*arguments, env=env, cwd=cwd) as process:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        outcome = Outcome(process.returncode, stdout, stderr)
        assert "Traceback (most recent call last)" not in outcome.stderr, outcome.stderr
        return outcome

    @contextmanager
    def start(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Start ``prefetch ARGUMENTS`` in a session of its own; whatever is left of it at the end is killed."""
        process = subprocess.Popen(
            self.argv(*arguments),
            env=self.environment(env),
            cwd=cwd or self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                _kill_session(process)

    def argv(self, *arguments: str | Path) -> list[str]:
        """The command line, for tests that start it in some other way (a pseudo-terminal, another namespace)."""
        return [*self.prefix, sys.executable, "-m", "prefetch", *map(str, arguments)]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the command sees: the few neutral variables, HOME, and those given; the last given wins."""
        neutral = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {**neutral, "HOME": str(self.home), **self.env, **(env or {})}


def _kill_session(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
