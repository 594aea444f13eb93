"""Pods of RunPod: what becomes of this one, and those that are made to fill a volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from prefetch import values
from prefetch.settings.option import option

if TYPE_CHECKING:
    from prefetch.runpod.options import SecretFor, VolumeAt

__all__ = ["Pod"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Pod:
    """How a pod ends, and what `runpod populate` makes."""

    __slots__ = ()

    on_success: Literal["terminate", "stop", "exit", "idle"] | None = field(
        default=None,
        metadata=option(
            values.choice("stop", "exit", "idle", "terminate"),
            "what becomes of this RunPod pod when all is there: remove it, stop it, let the command end, or stay; "
            "without it, the command ends, which makes RunPod start it again",
        ),
    )
    on_failed: Literal["terminate", "stop", "exit", "idle"] | None = field(
        default=None,
        metadata=option(
            values.choice("stop", "exit", "idle", "terminate"),
            "what becomes of this RunPod pod when something failed",
            flag="--on-failure",
            variable="ON_FAILURE",
        ),
    )
    max_hours: float | None = field(
        default=None,
        metadata=option(
            values.hours(8760, example="6"),
            "the most hours from the beginning, over restarts of the container: a run is stopped then and has failed, "
            "and a pod that idles is removed",
        ),
    )
    data_center: tuple[str, ...] = field(
        default=(),
        metadata=option(
            values.listed(
                values.Kind(
                    values.imported("prefetch.runpod.options:parse_data_center"),
                    "a data center of RunPod's",
                    "EU-RO-1",
                    "DC",
                )
            ),
            "the data centers whose volumes are to be filled, several with commas",
        ),
    )
    volume_id: tuple[VolumeAt, ...] = field(
        default=(),
        metadata=option(
            values.listed(
                values.Kind(
                    values.imported("prefetch.runpod.options:parse_volume"),
                    "a volume's id, or a data center and a volume's id",
                    "EU-RO-1=vol123",
                    "DC=ID",
                )
            ),
            "the network volume to fill, by its id, alone or behind its data center; may be given more than once",
        ),
    )
    create: str | None = field(
        default=None,
        metadata=option(
            values.name("a name for the volume", "comfy-models", "NAME"),
            "in each data center without a --volume-id, fill the volume of this name; make it where there is none",
        ),
    )
    volume_size: int | None = field(
        default=None,
        metadata=option(
            values.Kind(
                values.imported("prefetch.runpod.options:parse_gigabytes"), "a size from 10 to 4096 GB", "50", "GB"
            ),
            "the size of a volume that is made, in GB",
            flag="--size",
        ),
    )
    image: str | None = field(
        default=None,
        metadata=option(
            values.Kind(
                values.imported("prefetch.runpod.options:parse_image"),
                "an image's name",
                "ghcr.io/you/prefetch:1",
                "IMAGE",
            ),
            "the image that the pod runs, made from Dockerfile.prefetch",
        ),
    )
    registry: str | None = field(
        default=None,
        metadata=option(
            values.name("the id of a registry login", "clx123", "ID"),
            "the registry login, as RunPod keeps it, for an image that is not public",
        ),
    )
    secret: tuple[SecretFor, ...] = field(
        default=(),
        metadata=option(
            values.listed(
                values.Kind(
                    values.imported("prefetch.runpod.options:parse_secret"),
                    "a variable and a RunPod secret's name",
                    "HF_TOKEN=hf_token",
                    "NAME=SECRET",
                )
            ),
            "a variable of the pod that gets its value from a RunPod secret; may be given more than once",
        ),
    )
    pass_env: tuple[str, ...] = field(
        default=(),
        metadata=option(
            values.listed(
                values.Kind(
                    values.imported("prefetch.runpod.options:parse_variable"),
                    "a variable's name",
                    "PREFETCH_TOKENS",
                    "NAME",
                )
            ),
            "a variable that the pod gets with the value it has here, in clear text for all who may see the pod; may "
            "be given more than once",
        ),
    )
    cpu: str | None = field(
        default=None,
        metadata=option(
            values.name("a CPU flavor's id", "cpu5c", "FLAVOR"),
            "the kind of CPU pod; without it, the cheapest that is in stock, then the next",
        ),
    )
    vcpu: int = field(
        default=2,
        metadata=option(
            values.Kind(values.imported("prefetch.runpod.options:parse_cpus"), "a power of two from 2 to 32", "4", "N"),
            "the virtual CPUs of the pod",
        ),
    )
