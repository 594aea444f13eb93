"""``prefetch auth check``: which tokens are found, never their value, and whether each host accepts them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict

from prefetch.accounts import Account, check_accounts
from prefetch.errors import AccessError, PrefetchError
from prefetch.net.client import open_session
from prefetch.report.events import Listener
from prefetch.report.humanize import printable
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.signals import run_until_signal
from prefetch.sources.access import Access

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> RunResult:
    """Ask every host that a secret is for: a line, and an object of the document's ``hosts``, for each."""
    began = time.monotonic()
    access = Access.from_environment(os.environ)

    async def ask() -> list[Account]:
        async with open_session(connections=4, allow_private=settings.allow_private) as session:
            return await check_accounts(session, access, os.environ, listener=listener)

    accounts = run_until_signal(ask)
    error = _error(accounts)
    return RunResult(
        exit_code=0 if error is None else error.exit_code,
        volume=None,
        seconds=time.monotonic() - began,
        error=error,
        text="\n".join(map(_line, accounts)),
        more={"hosts": [asdict(account) for account in accounts]},
    )


def _error(accounts: Sequence[Account]) -> PrefetchError | None:
    refused = [account.host for account in accounts if account.verdict == "refused"]
    if refused:
        return AccessError(f"The token for {' and for '.join(refused)} is not accepted.", remedy="See the lines above.")
    silent = [account.host for account in accounts if account.verdict == "no answer"]
    if silent:
        return PrefetchError(f"{' and '.join(silent)} could not be asked.", remedy="See the lines above.")
    return None


def _line(account: Account) -> str:
    found = "no token" if account.found_in is None else account.found_in
    says = f": {account.says}" if account.says else ""
    verdict = "" if account.verdict == "none" else f" {account.verdict}"
    return printable(f"{account.host}  {found}{verdict}{says}")
