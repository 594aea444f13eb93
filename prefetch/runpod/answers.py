"""RunPod's answers as types. Pure: JSON in, frozen values or a sentence out. Fields without a use are not read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, get_args

from prefetch.errors import ContentError

__all__ = [
    "Availability",
    "Flavor",
    "LogLine",
    "Pod",
    "PodStatus",
    "Volume",
    "flavors_of",
    "log_line_of",
    "pod_of",
    "pods_of",
    "volume_of",
    "volumes_of",
]

PodStatus = Literal["PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED"]
Availability = Literal["NONE", "LOW", "MEDIUM", "HIGH"]

T = TypeVar("T")

_REMEDY = "Try again; if it stays so, RunPod's API has changed, and a newer prefetch is needed."


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod.

    Attributes:
        environment: its variables as they were given: a secret's reference, not its value. Never shown.
        data_center: None until it is placed.
        volume_id: of the network volume it mounts, if it does.
        flavor: its kind of CPU pod; None for a pod with a GPU.
        cost: US dollars an hour, now.
        created: when it was made, by RunPod's clock.
    """

    id: str
    name: str
    status: PodStatus
    environment: Mapping[str, str] = field(repr=False)
    data_center: str | None
    volume_id: str | None
    flavor: str | None
    cost: float
    created: datetime

    @property
    def is_over(self) -> bool:
        """Whether its container has stopped for good."""
        return self.status in ("EXITED", "ERROR", "TERMINATED")


@dataclass(frozen=True, slots=True)
class Volume:
    """One network volume; ``size`` is what is allocated, in GB."""

    id: str
    name: str
    size: int
    data_center: str


@dataclass(frozen=True, slots=True)
class Flavor:
    """One kind of CPU pod: what a virtual CPU costs an hour in US dollars, and its stock by data center."""

    id: str
    least: int
    most: int
    price: float
    stock: Mapping[str, Availability]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a pod's log; ``source`` is ``container`` for what its program wrote, ``system`` for its host."""

    source: str
    line: str


def pods_of(body: bytes) -> list[Pod]:
    """The pods of a list."""
    return [_pod(item) for item in _list(_document(body, "pods"), "pods")]


def pod_of(body: bytes) -> Pod:
    """One pod."""
    return _pod(_document(body, "pod"))


def volumes_of(body: bytes) -> list[Volume]:
    """The network volumes of a list."""
    return [_volume(item) for item in _list(_document(body, "network volumes"), "networkVolumes")]


def volume_of(body: bytes) -> Volume:
    """One network volume."""
    return _volume(_document(body, "network volume"))


def flavors_of(body: bytes) -> list[Flavor]:
    """The kinds of CPU pods."""
    return [_flavor(item) for item in _list(_document(body, "CPU types"), "cpus")]


def log_line_of(data: str) -> LogLine | None:
    """A line of a log; None for what is none: the log is for people, and no reason to end anything."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("line"), str):
        return None
    return LogLine(str(document.get("source", "")), document["line"])


def _pod(item: Any) -> Pod:
    network = _get(_get(item, "mounts", dict), "network", list, [])
    status = _get(item, "status", str)
    if status not in get_args(PodStatus):
        raise _strange(f"a pod's status {status[:40]!a}")
    return Pod(
        id=_get(item, "id", str),
        name=_get(item, "name", str),
        status=status,
        environment={name: text for name, text in _get(item, "env", dict).items() if isinstance(text, str)},
        data_center=_get(item, "dataCenterId", str, None),
        volume_id=_get(network[0], "volumeId", str) if network else None,
        flavor=_get(_get(item, "cpu", dict, {}), "id", str, None),
        cost=float(_get(item, "cost", (int, float))),
        created=_time(_get(item, "createdAt", str)),
    )


def _volume(item: Any) -> Volume:
    return Volume(
        _get(item, "id", str), _get(item, "name", str), _get(item, "size", int), _get(item, "dataCenter", str)
    )


def _flavor(item: Any) -> Flavor:
    cpus, price = _get(item, "vcpu", dict), _get(item, "price", dict)
    centers = _get(item, "dataCenters", list, [])
    return Flavor(
        id=_get(item, "id", str),
        least=_get(cpus, "min", int),
        most=_get(cpus, "max", int),
        price=float(_get(price, "securePerVcpu", (int, float))),
        stock={_get(center, "id", str): _availability(center) for center in centers},
    )


def _availability(center: Any) -> Availability:
    level = _get(center, "availability", str)
    # A level that is new to us is some stock, and asking for a pod will tell.
    return level if level in get_args(Availability) else "LOW"


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _strange(f"the time {text[:40]!a}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _document(body: bytes, what: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ContentError(f"RunPod's API did not answer in JSON when asked for {what}.", remedy=_REMEDY) from None


def _list(document: Any, key: str) -> list[Any]:
    found: list[Any] = _get(document, key, list)
    return found


_REQUIRED: Any = object()


def _get(item: Any, key: str, kind: type[T] | tuple[type[T], ...], default: Any = _REQUIRED) -> Any:
    if not isinstance(item, dict):
        raise _strange(f"something else where {key} belongs")
    value = item.get(key)
    if value is None and default is not _REQUIRED:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _strange(f"no usable {key}")
    return value


def _strange(what: str) -> ContentError:
    return ContentError(f"RunPod's API answered {what}.", remedy=_REMEDY)
