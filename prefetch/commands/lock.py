"""``prefetch lock``: pins every model of a manifest in a lock beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from prefetch.blockfile import BlockDigests, Digests, blocks_path
from prefetch.blocklists import read_blocks
from prefetch.comfyui.placement import check_placement
from prefetch.errors import ManifestError, PrefetchError, UsageError
from prefetch.inputs import lock_path
from prefetch.lockfile import Disagreement, Lock, LockedDirectory, LockedModel, compare, compare_blocks
from prefetch.manifest import Wanted, load_manifests
from prefetch.opening import limits_of, open_or_make_volume, warn_left_open
from prefetch.pinning import pin, read_lock
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import count, printable, verdict
from prefetch.report.result import ModelResult, RunResult
from prefetch.scores import summary_of
from prefetch.settings import Settings
from prefetch.signals import run_until_signal
from prefetch.system import check_system
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.layout import Volume
from prefetch.writing import write_whole

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Written:
    """What became of one manifest's lock."""

    results: list[ModelResult]
    lines: list[str]
    errors: list[PrefetchError] = field(default_factory=list)
    received: int = 0


def main(settings: Settings, listener: Listener) -> RunResult:
    """Write, or with ``--check`` only compare, the lock beside each of the manifests."""
    if not settings.manifest:
        raise UsageError("No manifest was given to lock.", remedy="Name one, as in: prefetch lock models.yaml")
    began = time.monotonic()
    wanted = {manifest: _wanted_of(manifest, settings, listener) for manifest in settings.manifest}
    _check_upgrade(settings.upgrade, wanted.values())
    if settings.check:
        return _check(wanted, settings, began)
    locker = _Locker(settings, listener)
    done = [locker.write(manifest, models) for manifest, models in wanted.items()]
    results = [result for written in done for result in written.results]
    error = summary_of([e for written in done for e in written.errors], models=len(results), how="cannot be locked")
    return RunResult(
        exit_code=0 if error is None else error.exit_code,
        volume=None if settings.volume is None else str(settings.volume.absolute()),
        seconds=time.monotonic() - began,
        bytes_downloaded=sum(written.received for written in done),
        models=results,
        error=error,
        text="\n".join(line for written in done for line in written.lines),
    )


def _wanted_of(manifest: Path, settings: Settings, listener: Listener) -> Wanted:
    wanted = load_manifests([manifest])
    check_placement(wanted.entries)
    warn_left_open(wanted, [manifest], listener)
    if not wanted.folders:
        return wanted
    from prefetch.expansion import to_be_locked

    return to_be_locked(wanted, read_lock(manifest), settings, listener=listener)


def _check_upgrade(upgrade: str | None, wanted: Iterable[Wanted]) -> None:
    if upgrade is None or any(fnmatchcase(path, upgrade) for models in wanted for path in _paths(models)):
        return
    raise UsageError(
        f"--upgrade: no model stands at {printable(upgrade)!r} in the manifest.",
        remedy="Give a model's path or a pattern such as 'models/loras/*', or write --upgrade last for all of them.",
    )


def _paths(wanted: Wanted) -> list[str]:
    return [entry.model.path for entry in wanted.entries] + [folder.path for folder in wanted.directories]


def _check(wanted: dict[Path, Wanted], settings: Settings, began: float) -> RunResult:
    found: list[Disagreement] = []
    for manifest, models in wanted.items():
        lock = read_lock(manifest) or Lock({})
        found += compare(models, lock)
        if settings.blocks:
            found += compare_blocks(lock, read_blocks(manifest) or BlockDigests({}), file=blocks_path(manifest).name)
    total = sum(len(models.entries) for models in wanted.values())
    error = PrefetchError(
        f"The lock and the manifest disagree on {count(len(found), 'model')}.",
        remedy="Run prefetch lock without --check, and commit what it writes.",
    )
    return RunResult(
        exit_code=1 if found else 0,
        volume=None,
        seconds=time.monotonic() - began,
        models=[ModelResult(item.path, item.what, error=item.message) for item in found],
        error=error if found else None,
        text="\n".join(printable(item.message) for item in found) or f"all of {count(total, 'model')} locked",
    )


@dataclass(frozen=True, slots=True)
class _Locker:
    """Writes locks, and block digests beside them."""

    settings: Settings
    listener: Listener

    def write(self, manifest: Path, wanted: Wanted) -> _Written:
        """Lock what is not locked yet, or is to be locked anew."""
        # The network's libraries take half a second to import, which --check need not pay.
        from prefetch.locking import Locked, Locking, kept

        old = read_lock(manifest)
        staying = kept(wanted, old, upgrade=self.settings.upgrade)
        asked = [entry for entry in wanted.entries if entry.model.path not in staying]
        locked = Locked({}, dict(wanted.unlisted))
        if asked:
            locking = Locking(self._volume(), limits=limits_of(self.settings), listener=self.listener)
            locked = run_until_signal(lambda: locking.lock(asked))
            locked.failed.update(wanted.unlisted)
        if locked.failed:
            results = [_result(model, "locked") for model in locked.models.values()]
            results += [ModelResult(path, "unresolved", error=str(error)) for path, error in locked.failed.items()]
            lines = [f"{lock_path(manifest)} was not written:", *_failures(locked.failed)]
            return _Written(results, lines, list(locked.failed.values()), locked.received)
        lock = Lock(staying | locked.models, directories=tuple(map(LockedDirectory.of, wanted.directories)))
        if old is None or old.to_bytes() != lock.to_bytes():
            write_whole(lock_path(manifest), lock.to_bytes())
        results = [_result(model, "kept") for model in staying.values()]
        results += [_result(model, "locked") for model in locked.models.values()]
        results.sort(key=lambda result: result.path)
        line = f"{lock_path(manifest)}: {len(locked.models)} locked, {len(staying)} kept"
        written = _Written(results, [line], received=locked.received)
        return self._write_blocks(manifest, wanted, lock, locked.digests, written)

    def _write_blocks(
        self, manifest: Path, wanted: Wanted, lock: Lock, read: dict[str, Digests], written: _Written
    ) -> _Written:
        """Bring the block digests beside a lock into line with it; where there are none, only if asked to."""
        old = self._old_blocks(manifest)
        if old is None and not self.settings.blocks:
            return written
        needed = {model.sha256: model for model in lock.models.values() if model.size > BLOCK_SIZE}
        known = {**({} if old is None else old.files), **read}
        if self.settings.blocks:
            written = self._learn(known, needed, wanted, lock, written)
        blocks = BlockDigests({sha256: known[sha256] for sha256 in known.keys() & needed.keys()})
        path = blocks_path(manifest)
        if old is None or old.to_bytes() != blocks.to_bytes():
            write_whole(path, blocks.to_bytes())
        lacking = f", {len(needed) - len(blocks.files)} lacking" if len(needed) > len(blocks.files) else ""
        line = f"{path}: block digests of {count(len(blocks.files), 'file')}{lacking}"
        return replace(written, lines=[*written.lines, line])

    def _old_blocks(self, manifest: Path) -> BlockDigests | None:
        try:
            return read_blocks(manifest)
        except ManifestError as error:
            self.listener(
                Notice("warning", f"{error.message} It is made anew." if self.settings.blocks else str(error))
            )
            return None

    def _learn(
        self, known: dict[str, Digests], needed: dict[str, LockedModel], wanted: Wanted, lock: Lock, written: _Written
    ) -> _Written:
        """Add the digests that are needed and not known, from the volume's records or else by reading the models."""
        from prefetch.locking import Locking, recorded

        volume = self._volume()
        if volume is not None:
            known |= recorded(volume, [model for sha256, model in needed.items() if sha256 not in known])
        unread = {model.path for sha256, model in needed.items() if sha256 not in known}
        if not unread:
            return written
        entries = [entry for entry in pin(wanted, [lock]).entries if entry.model.path in unread]
        locking = Locking(volume, limits=limits_of(self.settings), listener=self.listener)
        read = run_until_signal(lambda: locking.read(entries))
        known |= read.digests
        return replace(
            written,
            results=[_with_error(result, read.failed) for result in written.results],
            lines=[*written.lines, *_failures(read.failed)],
            errors=[*written.errors, *read.failed.values()],
            received=written.received + read.received,
        )

    def _volume(self) -> Volume | None:
        if self.settings.volume is None:
            return None
        check_system("lock --volume")
        return open_or_make_volume(self.settings, self.listener)


def _failures(failed: dict[str, PrefetchError]) -> list[str]:
    return [printable(verdict("unresolved", path, str(error))) for path, error in failed.items()]


def _with_error(result: ModelResult, failed: dict[str, PrefetchError]) -> ModelResult:
    return replace(result, error=str(failed[result.path])) if result.path in failed else result


def _result(model: LockedModel, status: str) -> ModelResult:
    return ModelResult(model.path, status, model.size, model.sha256)
