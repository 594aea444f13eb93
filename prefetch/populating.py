"""`runpod populate` in its steps: see what the account has, decide, and fill every data center at once."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from functools import partial

from prefetch.errors import UsageError
from prefetch.report.events import Listener, Notice
from prefetch.runpod.answers import Flavor, Pod, Volume
from prefetch.runpod.client import open_runpod
from prefetch.runpod.intent import MOUNT, PodRequest, is_marked
from prefetch.runpod.prices import candidates, guessed_hours
from prefetch.runpod.signs import INTENT
from prefetch.runpod.site import Filled, Plot, Site
from prefetch.settings import Settings
from prefetch.shipment import Shipment
from prefetch.sites import Asked, check_room, volumes_by_center
from prefetch.telling import tell_retries

__all__ = ["fill", "survey_account"]

_LEAST_HOURS = 6.0


async def survey_account(
    shipment: Shipment, asked: Asked, settings: Settings, *, listener: Listener, environ: Mapping[str, str] = os.environ
) -> list[Plot]:
    """What is to be done in each data center. Makes nothing.

    Raises:
        UsageError: what was asked for does not fit what the account has.
        SpaceError: a volume is smaller than the models.
        AccessError, SourceError, TransientError: RunPod refuses, or does not answer.
    """
    environment = _environment(shipment, settings, environ)
    hours = settings.max_hours or max(_LEAST_HOURS, math.ceil(4 * guessed_hours(shipment.size)))
    async with open_runpod(environ, on_retry=tell_retries(listener)) as api:
        volumes = volumes_by_center(asked, await api.volumes())
        check_room(volumes, shipment.size)
        flavors = await api.flavors(cpus=settings.vcpu)
        pods = await api.pods()
    plots = []
    for center, volume in volumes.items():
        stocked = _stocked(flavors, center, settings)
        request = partial(_request, center, settings, environment, hours)
        price = stocked[0].price * settings.vcpu
        plots.append(Plot(center, volume, [flavor.id for flavor in stocked], price, hours, request))
    _tell_of_others(pods, plots, listener)
    return plots


async def fill(plots: Sequence[Plot], *, listener: Listener, environ: Mapping[str, str] = os.environ) -> list[Filled]:
    """Fill every data center at once; when cancelled, remove every pod and tell what became of each all the same."""
    on_retry = tell_retries(listener)
    async with open_runpod(environ, on_retry=on_retry) as api:
        tasks = [asyncio.create_task(Site(api, plot, listener=listener, on_retry=on_retry).fill()) for plot in plots]
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            listener(Notice("info", "removing the pods; a second Ctrl-C leaves them to 'prefetch runpod clean'"))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return [task.result() for task in tasks]


def _stocked(flavors: Sequence[Flavor], center: str, settings: Settings) -> list[Flavor]:
    found = candidates(flavors, center, cpus=settings.vcpu, only=settings.cpu)
    if found:
        return found
    if settings.cpu is not None:
        known = ", ".join(flavor.id for flavor in flavors)
        raise UsageError(f"RunPod has no CPU flavor {settings.cpu}.", remedy=f"It has {known}.")
    known = ", ".join(sorted({dc for flavor in flavors for dc, level in flavor.stock.items() if level != "NONE"}))
    raise UsageError(
        f"No CPU pod with {settings.vcpu} virtual CPUs is in stock in {center}.",
        remedy=f"Try later, or another --vcpu. Data centers that have some now: {known or 'none'}.",
    )


def _request(
    center: str, settings: Settings, environment: Mapping[str, str], hours: float, volume: Volume
) -> PodRequest:
    assert settings.image is not None
    return PodRequest(
        data_center=center,
        volume_id=volume.id,
        image=settings.image,
        # Should nobody follow it any more, it goes by itself.
        args=f"run --on-success terminate --on-failure terminate --max-hours {hours:g}",
        environment={**environment, "PREFETCH_QUOTA": f"{volume.size}G"},
        cpus=settings.vcpu,
        registry=settings.registry,
    )


def _environment(shipment: Shipment, settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The pod's variables but for those that differ from volume to volume.

    Raises:
        UsageError: a variable that is to be passed on is not set here.
    """
    absent = [name for name in settings.pass_env if not environ.get(name)]
    if absent:
        raise UsageError(f"--pass-env {absent[0]}: it is not set here.", remedy="Set it, or leave it out.")
    return {
        **shipment.environment,
        "PREFETCH_VOLUME": MOUNT,
        "PREFETCH_LOG_FORMAT": "json",
        **{name: environ[name] for name in settings.pass_env},
        **{secret.variable: secret.reference for secret in settings.secret},
    }


def _tell_of_others(pods: Sequence[Pod], plots: Sequence[Plot], listener: Listener) -> None:
    """Name pods that an earlier populate of something else left on one of the volumes."""
    intents = {plot.volume.id: plot.request(plot.volume).intent for plot in plots if isinstance(plot.volume, Volume)}
    for pod in pods:
        if is_marked(pod) and pod.environment[INTENT] != intents.get(pod.volume_id or "", pod.environment[INTENT]):
            message = f"pod {pod.id} of another populate is on the volume {pod.volume_id}; see prefetch runpod clean"
            listener(Notice("warning", message))
