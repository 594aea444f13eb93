"""What a populated volume costs: before, by guess; after, by the pod's price and its time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from prefetch.runpod.answers import Flavor

__all__ = ["GUESSED_RATE", "candidates", "dollars", "guessed_hours", "monthly"]

GUESSED_RATE = 100_000_000
"""Bytes a second. Reports of others on RunPod's volumes name 72 to 150 MB/s; nobody promises any."""

_START = 120.0  # seconds for the image and the container, a guess too
_RANK = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}
_FIRST_TB, _BEYOND = 0.07, 0.05  # US dollars a GB and month, as RunPod publishes it for standard volumes


def guessed_hours(size: int) -> float:
    """Hours of a pod for so many bytes, were none of them there yet."""
    return (_START + size / GUESSED_RATE) / 3600


def monthly(size: int) -> float:
    """US dollars a month for a standard volume of ``size`` GB, the account's first one."""
    return round(min(size, 1000) * _FIRST_TB + max(size - 1000, 0) * _BEYOND, 2)


def dollars(amount: float) -> str:
    """``$3.50``; below ten cents with four digits: ``$0.0123``."""
    return f"${amount:.2f}" if amount >= 0.1 or not amount else f"${amount:.4f}"


def candidates(flavors: Sequence[Flavor], data_center: str, *, cpus: int, only: str | None = None) -> list[Flavor]:
    """The kinds of CPU pods to try in a data center, the cheapest first, and of equal ones that with the most stock.

    Args:
        only: the one kind that is wanted; it is tried whatever the catalog says of its stock.
    """
    if only is not None:
        return [flavor for flavor in flavors if flavor.id == only]
    able = [flavor for flavor in flavors if flavor.least <= cpus <= flavor.most]
    stocked = [flavor for flavor in able if flavor.stock.get(data_center, "NONE") in _RANK]
    return sorted(stocked, key=lambda flavor: (flavor.price, _RANK[flavor.stock[data_center]], flavor.id))
