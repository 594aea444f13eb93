"""Two mirrors of one file, each of 20 MB/s whatever the number of its connections: ``python -m tests.bench.mirrors``.

Prints what one of them gives alone, and what both give together with the file's block digests.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from prefetch.blockfile import BlockDigests, Digests
from prefetch.demo.content import Content, SyntheticFile
from prefetch.demo.server import running_origin
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.hashing import block_digest
from tests.support.commands import Commands
from tests.support.models import Wanted, write_manifest

RATE = 20_000_000
SIZE = 800_000_000
PIECE = 1 << 18


class Limited(Content):
    """Another content, given out at ``RATE`` bytes a second to all its readers together."""

    def __init__(self, inner: Content) -> None:
        self.size = inner.size
        self._inner = inner
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    @property
    def git_sha1(self) -> str:
        """Known without reading it at its rate: the origin tells it as its ETag."""
        return self._inner.git_sha1

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        for at in range(start, stop, PIECE):
            end = min(stop, at + PIECE)
            self._wait(end - at)
            yield from self._inner.views(at, end)

    def _wait(self, count: int) -> None:
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / RATE
            wait = self._free_at - time.monotonic()
        time.sleep(max(0.0, wait))


def main() -> None:
    """Measure, and print a line for each."""
    model = Wanted("m.safetensors", SyntheticFile("m", SIZE, "safetensors", 7))
    blocks = BlockDigests({model.content.sha256: Digests(SIZE, _digests(model.content))})
    for mirrors in (1, 2):
        speed = _speed(model, blocks, mirrors)
        print(f"{mirrors} of {RATE / 1e6:.0f} MB/s: {speed / 1e6:.1f} MB/s")


def _digests(content: Content) -> bytes:
    ends = ((at, min(content.size, at + BLOCK_SIZE)) for at in range(0, content.size, BLOCK_SIZE))
    return b"".join(block_digest(content.read(start, end)) for start, end in ends)


def _speed(model: Wanted, blocks: BlockDigests, mirrors: int) -> float:
    """Bytes a second from the start of the command to the verified file."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origins = [stack.enter_context(running_origin()) for _ in range(mirrors)]
        first, *others = [origin.put_file("m.safetensors", Limited(model.content)) for origin in origins]
        manifest = write_manifest(folder / "m.yaml", [model.entry(source=first, mirrors=others or None)])
        (folder / "m.blocks").write_bytes(blocks.to_bytes())
        began = time.monotonic()
        outcome = Commands(folder).run("run", manifest, "--volume", folder / "volume", "--json", timeout=120)
        assert outcome.returncode == 0, outcome.stderr
        return SIZE / (time.monotonic() - began)


if __name__ == "__main__":
    main()
