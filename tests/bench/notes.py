"""What the figures do not say by themselves: where the time goes, and what was tried where a goal is not reached."""

from __future__ import annotations

__all__ = ["NOTES"]

NOTES = """## Where the time goes

- **(a)** 1.2 of the 12 s pass before the first byte: imports, what the Hub is asked, and looks at the volume. aria2c
  needed 47 s on a busier machine and 30 s in the last run, so its ratio says more of the machine than of prefetch.
- **(b)** Nothing is paced there, the origin encrypts on the same two cores, and they are hardly ever idle: who takes
  less CPU is faster. By perf (at load 7) a fifth of prefetch's CPU time goes into copying to tmpfs from memory that no
  cache holds any more, a quarter into SHA-256 and AES, a seventh into Python, most of the rest into receiving. Beside
  aria2c it pays for Python and for a digest of each block, which the journal needs. Receiving straight into the memory
  that is written from, past aiohttp's stream, is done. Tried outside the program, with everything behind the socket
  (digest, writing, SHA-256) and at load 8 to 11, and left out: a transport of our own that reads a non-blocking TLS
  socket into the block saves a twentieth of the CPU time; reads of 1 MiB instead of 256 KiB in asyncio's TLS save a
  thirtieth and take 12 MB more for 16 connections; a thread for each connection receives no cheaper than the transport
  would. Half the connections save a tenth here, and would halve what (e) can reach. TLS in the kernel needs a module
  that is not loaded on such machines.
- **(c)** For one large file the hash used to be known 1.6 to 4 s after the last byte: it waited for a thread and for a
  buffer behind the writes, and ranges of up to 64 MB arrived side by side, so that most blocks were read back. Now it
  has threads and buffers of its own; ranges are short where the volume is what connections wait for, so that most
  blocks are hashed from memory; a range that falls far behind the others is shared out; and fewer blocks wait for the
  volume, which is synced more often at a file's end.
- **(d)** Small models were written, hashed and placed one by one, in four threads' turns and a hundred calls of the
  volume each. Now they stay in memory until they are right, and up to 32 are written, synced, renamed and recorded
  together, which halved time and CPU. What is left is Python's time for two requests a model, the redirect and the
  bytes, and the volume's own for syncing and renaming, which aria2c does not do.
- **(e)** Each range waits 80 ms for its first byte, so ranges grow to 64 MB for such a host. The rest is the
  beginning (imports, questions to the Hub and handshakes, each 80 ms away: 1.4 s before the first byte, at
  load 5) and the origin's encryption on the same cores: see what the limit itself gets.
- **(f)** A connection under a quarter of its siblings' speed is given up after a second; at the end of a run a free
  connection takes over what it would bring much sooner.
- **(g)** was measured once, while other work loaded both cores (load 6 to 10), so its times say little; the bytes that
  were fetched again do not depend on it.
- **(k)** Memory is bounded by the buffers (`--memory`) and the program's own. The bytes come from an origin that makes
  zeros up, and end on a btrfs that packs them, so that no disk of that size is needed.
- (a), (b), (e) and (i) are from before the change named at (c).
"""
