"""``prefetch auth check``: which tokens are found, never their value, and whether each host accepts them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

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


@dataclass(frozen=True, slots=True)
class _Checked:
    """The result: a line, and an object of the document's ``hosts``, for each host."""

    accounts: Sequence[Account]
    seconds: float
    error: PrefetchError | None

    @property
    def exit_code(self) -> int:
        return 0 if self.error is None else self.error.exit_code

    @property
    def text(self) -> str:
        return "\n".join(map(_line, self.accounts))

    def to_json(self) -> str:
        document = json.loads(RunResult(self.exit_code, None, self.seconds, error=self.error).to_json())
        return json.dumps({**document, "hosts": [asdict(account) for account in self.accounts]}, ensure_ascii=False)


def main(settings: Settings, listener: Listener) -> _Checked:
    """Ask every host that a secret is for."""
    began = time.monotonic()
    access = Access.from_environment(os.environ)

    async def ask() -> list[Account]:
        async with open_session(connections=4, allow_private=settings.allow_private) as session:
            return await check_accounts(session, access, os.environ, listener=listener)

    accounts = run_until_signal(ask)
    return _Checked(accounts, time.monotonic() - began, _error(accounts))


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
