"""What the figures do not say by themselves: where the time goes, and what was tried where a goal is not reached."""

from __future__ import annotations

__all__ = ["NOTES"]

NOTES = """## Where the time goes

- **(a)** What it takes beyond the limit is the beginning: imports, what the Hub is asked, and looks at the volume. On
  a machine that did other work at the same time the ratio to aria2c was 2.5, on a quiet one it is what stands below.
- **(b)** Nothing is paced there, and the origin encrypts on the same two cores. By perf, on a quiet machine, a third
  of prefetch's CPU time goes into SHA-256 and AES, a sixth into writing, a twelfth into receiving, a seventh into
  Python, and a thirteenth into copies between TLS and the block. It takes no more CPU than aria2c and OpenSSL, and
  yet as long: by the kernel's own count (schedstat) its event loop waits for a core a third of the time, while a
  fifth of the machine is idle. The limit, three C programs with a process for each file, leaves a fiftieth idle. Half
  the connections save a tenth here, and are what it takes now while the processors are what is slow. Tried on a quiet
  machine and left out, since they changed nothing beyond the noise: uvloop, more memory, longer and shorter ranges, a
  shorter switch interval of the interpreter, threads bound to a core, and two threads instead of four for hashing and
  for writing. A lower priority for those threads saves a twenty-fifth, but would let a busy neighbour starve them.
  Tried outside the program: a transport of our own that reads a non-blocking TLS socket into the block saves a
  twentieth of the CPU time; reads of 1 MiB instead of 256 KiB in asyncio's TLS a thirtieth, for 12 MB more; a thread
  for each connection receives no cheaper. TLS in the kernel needs a module that is not loaded on such machines.
- **(c)** For one large file the hash used to be known 1.6 to 4 s after the last byte: it waited for a thread and for
  a buffer behind the writes, and ranges of up to 64 MB arrived side by side, so that most blocks were read back. Now
  it has threads and buffers of its own; ranges are short where the volume is what connections wait for, so that most
  blocks are hashed from memory; a range that falls far behind the others is shared out; and fewer blocks wait for the
  volume, which is synced more often at a file's end.
- **(d)** Small models were written, hashed and placed one by one, in four threads' turns and a hundred calls of the
  volume each. Now they stay in memory until they are right, and up to 32 are written, synced, renamed and recorded
  together, which halved time and CPU. Then every connection without work looked at every model at each change, a
  third of the event loop's time, and the way to a directory was followed anew for each model in it; without both it
  takes a fifth less. What is left is Python's time for two requests a model, the redirect and the bytes, and the
  volume's own for syncing and renaming, which aria2c does not do.
- **(e)** Each range waits 80 ms for its first byte, so ranges grow to 64 MB for such a host. The rest is the
  beginning (imports, questions to the Hub and handshakes, each 80 ms away) and the origin's encryption on the same
  cores: see what the limit itself gets.
- **(f)** A connection under a quarter of its siblings' speed is given up after a second; at the end of a run a free
  connection takes over what it would bring much sooner.
- **(g)** The first half is read back and hashed while the second arrives. A resumed run is hardly sooner done than a
  whole one, because what arrives before its turn has to be read back as well, and MooseFS keeps nothing of it on this
  side: all of the file comes through the link once more. What is fetched again was 106 MB before connections were
  given back where the volume is what is slow.
- **(i)** prefetch reads as fast as OpenSSL does; what it took longer was its start. A manifest that was applied is
  not parsed again now, which saves a tenth of a second.
- **(k)** Memory is bounded by the buffers (`--memory`) and the program's own. The bytes come from an origin that
  makes zeros up, and end on a btrfs that packs them, so that no disk of that size is needed.
- (e), (h) and (j) were measured just before connections were given back, (f) and (k) on an earlier engine.
"""
