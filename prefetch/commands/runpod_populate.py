"""``prefetch runpod populate``: volumes filled by pods that are made for it, and that are gone afterwards."""

from __future__ import annotations

import os
import sys
import time

from prefetch.asking import require_yes
from prefetch.errors import UsageError
from prefetch.given import URL
from prefetch.opening import wanted_on
from prefetch.populating import fill, survey_account
from prefetch.quoting import populated, quote
from prefetch.report.events import Listener, Notice
from prefetch.report.result import RunResult
from prefetch.report.writer import LineWriter
from prefetch.settings import Settings
from prefetch.shipment import Shipment, pack
from prefetch.signals import run_until_signal
from prefetch.sites import Asked
from prefetch.volume.absent import NoVolume

__all__ = ["main"]

_GRACE = 180.0  # seconds for RunPod to remove the pods after Ctrl-C
_TOKENS = ("HF_TOKEN", "CIVITAI_API_TOKEN")


def main(settings: Settings, listener: Listener) -> RunResult:
    """Tell what it will cost, ask, fill every data center's volume, and tell what it has cost."""
    asked = Asked(settings.data_center, settings.volume_id, settings.create, settings.volume_size)
    asked.check()
    if settings.image is None:
        raise UsageError(
            "No image was named.",
            remedy="Build and push Dockerfile.prefetch, then write for example: --image ghcr.io/you/prefetch:1",
        )
    shipment = pack(wanted_on(NoVolume(), settings, listener), settings)
    _tell_of_secrets(shipment, settings, listener)
    plots = run_until_signal(lambda: survey_account(shipment, asked, settings, listener=listener))
    _tell(quote(plots, shipment))
    if not settings.yes:
        require_yes("Go on?")
    began = time.monotonic()
    filled = run_until_signal(lambda: fill(plots, listener=listener), grace=_GRACE)
    return populated(filled, seconds=time.monotonic() - began)


def _tell(lines: list[str]) -> None:
    writer = LineWriter(sys.stderr)
    for line in lines:
        writer.write(line)


def _tell_of_secrets(shipment: Shipment, settings: Settings, listener: Listener) -> None:
    given = {secret.variable for secret in settings.secret} | set(settings.pass_env)
    for name in _TOKENS:
        if os.environ.get(name) and name not in given:
            listener(Notice("info", f"the pod does not get {name}; store it at RunPod and add --secret {name}=SECRET"))
    signed = [URL] if "?" in shipment.environment.get(URL, "") else []
    if in_clear := [*signed, *settings.pass_env]:
        names = ", ".join(in_clear)
        listener(
            Notice(
                "warning",
                f"{names}: in the pod in clear text, for all who may see it in RunPod's console or API; --secret hides "
                "a value",
            )
        )
