"""What the figures do not say by themselves: where the time goes, and what was tried where a goal is not reached."""

from __future__ import annotations

__all__ = ["NOTES"]

NOTES = """## Where the time goes

- **(b)** Nothing is paced there, the origin encrypts on the same two cores, and they are hardly ever idle: who takes
  less CPU is faster, and more threads would change nothing. Beside aria2c prefetch pays for Python (its start, and a
  call for each TLS record of 16 KB) and for a digest of each block, which the journal needs. Receiving straight into
  the memory that is written from, past aiohttp's stream, is done; TLS in the kernel is not, because Python's event
  loop keeps TLS in memory.
- **(d)** Small models were written, hashed and placed one by one, in four threads' turns and a hundred calls of the
  volume each. Now they stay in memory until they are right, and up to 32 are written, synced, renamed and recorded
  together, which halved time and CPU. What is left is Python's time for two requests a model, the redirect and the
  bytes, and the volume's own for syncing and renaming, which aria2c does not do.
- **(e)** Each range waits 80 ms for its first byte, so ranges grow to 64 MB for such a host. The rest is the
  beginning (imports, questions to the Hub and handshakes, each 80 ms away) and the origin's encryption on the same
  cores: see what the limit itself gets.
- **(f)** A connection under a quarter of its siblings' speed is given up after a second; at the end of a run a free
  connection takes over what it would bring much sooner.
- **(c)**, **(g)** were measured once, while other work loaded both cores (load 6 to 10), so their times say little;
  the bytes that (g) fetched again do not depend on it. After the last byte of (c) what arrived out of order is still
  to be read back and hashed, which is what takes longer when cores are busy. Neither was tried again on a quiet
  machine yet.
- What was measured on 2026-11-23 for (a), (b) and (e) is from before the benchmark itself was made cheaper,
  which burdened prefetch most, and before the changes named here; (b) in particular has to be measured anew.
"""
