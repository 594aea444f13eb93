"""Which volume is meant in which data center: what was asked for against what the account has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefetch.errors import SpaceError, UsageError
from prefetch.report import humanize
from prefetch.runpod.answers import Volume
from prefetch.runpod.options import VolumeAt
from prefetch.runpod.single import named
from prefetch.runpod.site import VolumeWanted

__all__ = ["Asked", "check_room", "volumes_by_center"]

_GB = 10**9


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of data centers and volumes; ``size`` in GB."""

    data_centers: Sequence[str]
    volumes: Sequence[VolumeAt]
    create: str | None
    size: int | None

    def check(self) -> None:
        """Raise UsageError where it makes no sense whatever the account has."""
        if self.create and not self.data_centers:
            raise UsageError("--create needs a data center.", remedy="Write for example: --data-center EU-RO-1")
        if not self.data_centers and not self.volumes:
            raise UsageError(
                "No volume was named.",
                remedy="Name one: --volume-id ID, or --data-center EU-RO-1 --create comfy-models --size 50",
            )
        if self.size and not self.create:
            raise UsageError("--size is for a volume that is made.", remedy="Add --create NAME, or leave it out.")


def volumes_by_center(asked: Asked, there: Sequence[Volume]) -> dict[str, Volume | VolumeWanted]:
    """The volume of each data center: one that is there, or one to be made.

    Raises:
        UsageError: a volume that is not there or is elsewhere, or a data center without one.
    """
    found: dict[str, Volume | VolumeWanted] = {}
    for named_volume in asked.volumes:
        volume = _by_id(named_volume, there)
        if volume.data_center in found:
            raise UsageError(
                f"Two volumes in {volume.data_center} were named.", remedy="Fill them one after the other."
            )
        found[volume.data_center] = volume
    if asked.data_centers and (others := [center for center in found if center not in asked.data_centers]):
        raise UsageError(
            f"The volume {_id(found[others[0]])} is in {others[0]}, which is not among --data-center.",
            remedy=f"Add --data-center {others[0]}, or name another volume.",
        )
    for center in asked.data_centers:
        if center not in found:
            found[center] = _by_name(asked, center, there)
    return {center: found[center] for center in asked.data_centers or found}


def check_room(volumes: dict[str, Volume | VolumeWanted], needed: int) -> None:
    """Raise SpaceError where a volume is smaller than the models, whatever else is on it."""
    small = [f"{center} ({volume.size} GB)" for center, volume in volumes.items() if volume.size * _GB < needed]
    if small:
        raise SpaceError(
            f"The models take {humanize.size(needed)}, which is more than the volume in {humanize.enumerated(small)}.",
            remedy="Nothing was made. Enlarge the volume in RunPod's console, give a larger --size, or use --group.",
        )


def _by_id(wanted: VolumeAt, there: Sequence[Volume]) -> Volume:
    volume = next((each for each in there if each.id == wanted.id), None)
    if volume is None:
        known = ", ".join(f"{each.id} ({each.name}, {each.data_center})" for each in there) or "none"
        raise UsageError(f"This account has no volume {wanted.id}.", remedy=f"Its volumes: {known}.")
    if wanted.data_center not in (None, volume.data_center):
        raise UsageError(
            f"The volume {volume.id} is in {volume.data_center}, not in {wanted.data_center}.",
            remedy=f"Write --volume-id {volume.data_center}={volume.id}",
        )
    return volume


def _by_name(asked: Asked, center: str, there: Sequence[Volume]) -> Volume | VolumeWanted:
    if asked.create is None:
        here = ", ".join(f"{each.id} ({each.name})" for each in there if each.data_center == center)
        raise UsageError(
            f"No volume was named for {center}.",
            remedy=f"Its volumes: {here}." if here else "It has none; have one made: --create NAME --size GB",
        )
    if (volume := named(there, asked.create, center)) is not None:
        return volume
    if asked.size is None:
        raise UsageError(
            f"There is no volume {asked.create} in {center}, and how large it is to be was not said.",
            remedy="Write for example: --size 50",
        )
    return VolumeWanted(asked.create, asked.size)


def _id(volume: Volume | VolumeWanted) -> str:
    return volume.id if isinstance(volume, Volume) else volume.name
