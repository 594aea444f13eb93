"""When two pods are one intent, and how a pod carries it: RunPod has neither labels nor idempotency keys. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prefetch.runpod.answers import Pod
from prefetch.runpod.signs import INTENT

__all__ = ["MOUNT", "NAME", "PodRequest", "is_marked", "marked"]

NAME = "prefetch-populate"
"""What the names of our pods begin with."""

MOUNT = "/runpod-volume"
"""Where serverless workers see the volume, so that both see the same paths."""


@dataclass(frozen=True, slots=True)
class PodRequest:
    """A CPU pod that is to fill one volume.

    Attributes:
        args: the arguments of the image's entrypoint, one text.
        environment: its variables but for the mark.
        registry: the id of a registry's login that RunPod keeps, for a private image.
        flavor: which kind of CPU pod; no part of the intent, for any will do.
    """

    data_center: str
    volume_id: str
    image: str
    args: str
    environment: Mapping[str, str] = field(repr=False)
    cpus: int
    registry: str | None = None
    flavor: str = ""

    def of(self, flavor: str) -> PodRequest:
        """The same on another kind of pod."""
        return replace(self, flavor=flavor)

    @property
    def intent(self) -> str:
        """32 hex digits, the same for the same image, arguments, variables and volume."""
        parts = [self.volume_id, self.image, self.args, sorted(self.environment.items())]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def document(self) -> dict[str, object]:
        """What RunPod's API is sent."""
        document: dict[str, object] = {
            "name": f"{NAME}-{self.data_center}",
            "image": self.image,
            "args": self.args,
            "cpu": {"id": self.flavor, "vcpuCount": self.cpus},
            "cloud": "SECURE",
            "dataCenterIds": [self.data_center],
            "disk": 10,
            "env": {**self.environment, INTENT: self.intent},
            "mounts": {"network": [{"volumeId": self.volume_id, "path": MOUNT}]},
        }
        return document if self.registry is None else {**document, "registry": self.registry}


def marked(pods: Iterable[Pod], intent: str) -> Sequence[Pod]:
    """The pods of one intent that are there, the oldest first: of several, that one stays."""
    found = (pod for pod in pods if pod.environment.get(INTENT) == intent and pod.status != "TERMINATED")
    return sorted(found, key=lambda pod: (pod.created, pod.id))


def is_marked(pod: Pod) -> bool:
    """Whether we made the pod, for whatever intent."""
    return INTENT in pod.environment
