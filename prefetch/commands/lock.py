"""``prefetch lock``: pins every model of a manifest in a lock beside it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from prefetch.errors import PrefetchError, UsageError
from prefetch.inputs import lock_path
from prefetch.lockfile import Disagreement, Lock, LockedDirectory, LockedModel, compare
from prefetch.manifest import Wanted, load_manifests
from prefetch.opening import limits_of, open_volume
from prefetch.pinning import read_lock
from prefetch.report.events import Listener
from prefetch.report.humanize import count, printable
from prefetch.report.result import ModelResult, RunResult
from prefetch.scores import summary_of
from prefetch.settings import Settings
from prefetch.signals import run_until_signal

if TYPE_CHECKING:
    from prefetch.locking import Locked

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Written:
    """What became of one manifest's lock."""

    results: list[ModelResult]
    errors: list[PrefetchError]
    received: int
    line: str


def main(settings: Settings, listener: Listener) -> RunResult:
    """Write, or with ``--check`` only compare, the lock beside each of the manifests."""
    if not settings.manifest:
        raise UsageError("No manifest was given to lock.", remedy="Name one, as in: prefetch lock models.yaml")
    began = time.monotonic()
    wanted = {manifest: _wanted_of(manifest, settings, listener) for manifest in settings.manifest}
    _check_upgrade(settings.upgrade, wanted.values())
    if settings.check:
        return _check(wanted, began)
    done = [_write(manifest, models, settings, listener) for manifest, models in wanted.items()]
    results = [result for written in done for result in written.results]
    error = summary_of([e for written in done for e in written.errors], models=len(results), how="cannot be locked")
    return RunResult(
        exit_code=0 if error is None else error.exit_code,
        volume=None if settings.volume is None else str(settings.volume.absolute()),
        seconds=time.monotonic() - began,
        bytes_downloaded=sum(written.received for written in done),
        models=results,
        error=error,
        text="\n".join(written.line for written in done),
    )


def _wanted_of(manifest: Path, settings: Settings, listener: Listener) -> Wanted:
    wanted = load_manifests([manifest])
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


def _check(wanted: dict[Path, Wanted], began: float) -> RunResult:
    found: list[Disagreement] = []
    for manifest, models in wanted.items():
        found += compare(models, read_lock(manifest) or Lock({}))
    total = sum(len(models.entries) for models in wanted.values())
    error = PrefetchError(
        f"The lock and the manifest disagree on {count(len(found), 'model')}.",
        remedy="Run prefetch lock without --check, and commit both.",
    )
    return RunResult(
        exit_code=1 if found else 0,
        volume=None,
        seconds=time.monotonic() - began,
        models=[ModelResult(item.path, item.what, error=item.message) for item in found],
        error=error if found else None,
        text="\n".join(printable(item.message) for item in found) or f"all of {count(total, 'model')} locked",
    )


def _write(manifest: Path, wanted: Wanted, settings: Settings, listener: Listener) -> _Written:
    # The network's libraries take half a second to import, which --check need not pay.
    from prefetch.locking import Locked, Locking, kept

    lock = read_lock(manifest)
    staying = kept(wanted, lock, upgrade=settings.upgrade)
    asked = [entry for entry in wanted.entries if entry.model.path not in staying]
    locked = Locked({}, dict(wanted.unlisted))
    if asked:
        volume = open_volume(settings, create=True) if settings.volume is not None else None
        locking = Locking(volume, limits=limits_of(settings), listener=listener)
        locked = run_until_signal(lambda: locking.lock(asked))
        locked.failed.update(wanted.unlisted)
    if not locked.failed:
        directories = tuple(map(LockedDirectory.of, wanted.directories))
        return _replace(manifest, lock, Lock(staying | locked.models, directories=directories), staying, locked)
    results = [_result(model, "locked") for model in locked.models.values()]
    results += [ModelResult(path, "unresolved", error=str(error)) for path, error in locked.failed.items()]
    lines = [f"{lock_path(manifest)} was not written:", *map(_failure, locked.failed.items())]
    return _Written(results, list(locked.failed.values()), locked.received, "\n".join(lines))


def _failure(failed: tuple[str, PrefetchError]) -> str:
    path, error = failed
    return printable(f"unresolved {path}: {error}")


def _replace(manifest: Path, old: Lock | None, lock: Lock, staying: dict[str, LockedModel], locked: Locked) -> _Written:
    path, new = lock_path(manifest), locked.models
    if old is None or old.to_bytes() != lock.to_bytes():
        _write_whole(path, lock.to_bytes())
    results = [_result(model, "kept") for model in staying.values()]
    results += [_result(model, "locked") for model in new.values()]
    results.sort(key=lambda result: result.path)
    return _Written(results, [], locked.received, f"{path}: {len(new)} locked, {len(staying)} kept")


def _result(model: LockedModel, status: str) -> ModelResult:
    return ModelResult(model.path, status, model.size, model.sha256)


def _write_whole(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            draft.write_bytes(data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", remedy="Check the directory's rights and space."
        ) from None
