"""The account behind the stand-in for RunPod's REST API v2: pods whose containers run, volumes, stock, troubles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from prefetch.runpod.signs import INTENT
from tests.support.pods import Container, Job, Pod, idle, with_secrets
from tests.support.runpod_shelf import Refusal, Shelf

__all__ = ["KEY", "Call", "Flavor", "Refusal", "RunPod", "Trouble"]

KEY = "rpa_planted0secret0account0key"
"""The account's key: may do all."""

_NONE_LEFT = "There are no instances currently available with the requested specifications."


@dataclass(frozen=True, slots=True)
class Flavor:
    """A kind of CPU pod, and its stock by data center, as the catalog tells it."""

    id: str
    price: float
    stock: Mapping[str, str]
    most: int = 32


@dataclass(slots=True)
class Trouble:
    """What happens to requests of a method and a path (globs) instead of, or after, their effect.

    Attributes:
        status: the answer; None drops the connection without one.
        effect: whether the request does its work all the same.
        skip, times: how many pass first, and how many are hit then (None: all).
        hold: the request waits for it first, whether or not the client still does.
    """

    method: str
    path: str
    status: int | None = None
    effect: bool = False
    skip: int = 0
    times: int | None = 1
    retry_after: int | None = None
    detail: str = "something is wrong"
    hold: threading.Event | None = None
    harmless: bool = False
    seen: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Whether it strikes this request; counts those that match."""
        if not (fnmatchcase(method, self.method) and fnmatchcase(path, self.path)):
            return False
        self.seen += 1
        return self.seen > self.skip and (self.times is None or self.seen <= self.skip + self.times)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that came, and the status of its answer; None where it got none."""

    method: str
    target: str
    status: int | None
    body: bytes = field(default=b"", repr=False)


class RunPod:
    """The account. `tests.support.runpod_api.running_runpod` makes one that listens.

    Attributes:
        endpoint: for PREFETCH_RUNPOD_ENDPOINT.
        job: what every container runs.
        full: pairs of flavor and data center that the catalog has and that are gone when asked for.
        shelf: the templates and endpoints.
        pod_key_may: the actions that a pod's own key is allowed on that pod.
        watch: called with the number of each request, before its effect and, with the same number, after it.
        most_at_once: the most pods of one intent that were there at the same time.
    """

    def __init__(self, folder: Path, *, job: Job = idle) -> None:
        self.endpoint = ""
        self.job = job
        self.folder = folder
        self.flavors = [Flavor("cpu3c", 0.03, {"EU-RO-1": "HIGH", "US-KS-2": "LOW"})]
        self.full: set[tuple[str, str]] = set()
        self.secrets: dict[str, str] = {}
        self.pod_key_may = {"stop", "terminate"}
        self.watch: Callable[[int], None] = lambda number: None
        self.most_at_once = 0
        self.calls: list[Call] = []
        self.breaches: list[str] = []
        self.troubles: list[Trouble] = []
        self.pods: dict[str, Pod] = {}
        self.ever: list[Pod] = []
        self.volumes: dict[str, dict[str, Any]] = {}
        self.shelf = Shelf()
        self.changed = threading.Condition(threading.RLock())
        self._numbers = iter(range(1, 10**6))

    def add_volume(self, name: str, *, size: int, data_center: str) -> str:
        """A volume that is there already; its id."""
        with self.changed:
            volume_id = f"vol{next(self._numbers):05}"
            self.volumes[volume_id] = {
                "id": volume_id,
                "name": name,
                "size": size,
                "dataCenter": data_center,
                "type": "STANDARD",
            }
            self.folder_of(volume_id).mkdir(parents=True, exist_ok=True)
            return volume_id

    def add_pod(self, *, name: str, env: Mapping[str, str] | None = None, age: float = 0.0, **request: Any) -> Pod:
        """A pod that is there already, so many seconds old."""
        document = {"name": name, "image": "someone/something", "env": dict(env or {}), **request}
        return self._start(document, 0.06, datetime.now(UTC) - timedelta(seconds=age))

    def folder_of(self, volume_id: str) -> Path:
        """Where a volume's files are."""
        return self.folder / volume_id

    def trouble(self, method: str, path: str, **what: Any) -> Trouble:
        """Add a `Trouble` and return it."""
        self.troubles.append(trouble := Trouble(method, path, **what))
        return trouble

    def requests(self, method: str, path: str) -> list[Call]:
        """The calls of a method and a path (a glob), without their queries."""
        found = (call for call in list(self.calls) if call.method == method)
        return [call for call in found if fnmatchcase(urlsplit(call.target).path, path)]

    def close(self) -> None:
        """Stop all containers."""
        for pod in list(self.pods.values()):
            pod.stop("TERMINATED")

    # What the API does

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Any, key: str) -> tuple[int, Any]:
        """Status and document of one request, its effect done."""
        words = [unquote(word) for word in path.removeprefix("/v2/").split("/")]
        with self.changed:
            self.check_key(key, words, body if method == "POST" else {"action": "terminate"})
            match (method, *words):
                case ("GET", "pods"):
                    return 200, {"pods": [pod.document() for pod in self.pods.values()]}
                case ("POST", "pods"):
                    return 201, self._create_pod(body).document()
                case ("GET", "pods", name):
                    return 200, self.pod(name).document()
                case ("DELETE", "pods", name):
                    self._terminate(self.pod(name))
                    return 204, None
                case ("POST", "pods", name, "action"):
                    return self._act(self.pod(name), body["action"])
                case ("GET", "network-volumes"):
                    return 200, {"networkVolumes": list(self.volumes.values())}
                case ("POST", "network-volumes"):
                    made = self.add_volume(body["name"], size=body["size"], data_center=body["dataCenter"])
                    return 201, self.volumes[made]
                case ("GET" | "DELETE", "network-volumes", name):
                    return self._volume(method, name)
                case ("GET", "catalog", "cpus"):
                    return 200, {"cpus": [_catalog(flavor, query) for flavor in self.flavors]}
            return self.shelf.answer(method, words, body)

    def check_key(self, key: str, words: list[str], body: Any) -> None:
        """Refuse a request whose key is not good for it."""
        if key == KEY:
            return
        pod = next((pod for pod in self.pods.values() if key == _pod_key(pod)), None)
        if pod is None:
            raise Refusal(401, f"the token {key} is invalid")
        if words[:2] != ["pods", pod.id] or body.get("action") not in self.pod_key_may:
            raise Refusal(403, "access denied")

    def _create_pod(self, request: dict[str, Any]) -> Pod:
        if (template := request.pop("templateId", None)) is not None:
            request = self.shelf.applied(template, request, serverless=False)
        if ("cpu" in request) == ("gpu" in request):
            raise Refusal(400, "exactly one of gpu or cpu must be set")
        flavor = next((one for one in self.flavors if one.id == request["cpu"]["id"]), None)
        center = (request.get("dataCenterIds") or [""])[0]
        if flavor is None or (flavor.id, center) in self.full or flavor.stock.get(center, "NONE") == "NONE":
            raise Refusal(400, _NONE_LEFT)
        for mount in request.get("mounts", {}).get("network", []):
            volume = self.volumes.get(mount["volumeId"])
            if volume is None or volume["dataCenter"] != center:
                raise Refusal(400, "the network volume is not in this data center")
        return self._start(request, flavor.price * request["cpu"]["vcpuCount"], datetime.now(UTC))

    def _start(self, request: dict[str, Any], price: float, created: datetime) -> Pod:
        with self.changed:
            pod = Pod(f"pod{next(self._numbers):05}", request, created, price, self.changed)
            self.pods[pod.id] = pod
            self.ever.append(pod)
            same = [other for other in self.pods.values() if other.env.get(INTENT) == pod.env.get(INTENT)]
            self.most_at_once = max(self.most_at_once, len(same))
        self._run(pod)
        return pod

    def _run(self, pod: Pod) -> None:
        threading.Thread(target=self._live, args=(pod,), daemon=True).start()

    def _live(self, pod: Pod) -> None:
        volume = None if pod.volume is None else self.folder_of(pod.volume)
        own = {"RUNPOD_POD_ID": pod.id, "RUNPOD_API_KEY": _pod_key(pod), "PREFETCH_RUNPOD_ENDPOINT": self.endpoint}
        env = {**own, **with_secrets(pod.env, self.secrets)}
        pod.status = "STARTING" if pod.status == "PROVISIONING" else pod.status
        while not pod.stopped.is_set():
            pod.starts += 1
            self.job(Container(pod, env, volume))
            # A container that exits is started again, and billed on.
            pod.stopped.wait(0.05)

    def _terminate(self, pod: Pod) -> None:
        pod.stop("TERMINATED")
        del self.pods[pod.id]

    def _act(self, pod: Pod, action: str) -> tuple[int, Any]:
        if action not in pod.actions:
            raise Refusal(409, f"the pod is {pod.status}")
        if action == "terminate":
            self._terminate(pod)
            return 204, None
        if action == "stop":
            pod.stop("EXITED")
        else:
            pod.stopped = threading.Event()
            pod.status = "STARTING"
            self._run(pod)
        return 200, pod.document()

    def pod(self, name: str) -> Pod:
        """The pod of this id, or a refusal."""
        if name not in self.pods:
            raise Refusal(404, "pod not found")
        return self.pods[name]

    def _volume(self, method: str, name: str) -> tuple[int, Any]:
        if name not in self.volumes:
            raise Refusal(404, "network volume not found")
        if method == "DELETE":
            del self.volumes[name]
            return 204, None
        return 200, self.volumes[name]


def _pod_key(pod: Pod) -> str:
    return f"rpa_planted0secret0key0of0{pod.id}"


def _catalog(flavor: Flavor, query: Mapping[str, list[str]]) -> dict[str, Any]:
    document = {
        "id": flavor.id,
        "name": "Compute-Optimized",
        "group": "Gen 3",
        "vcpu": {"min": 2, "max": flavor.most},
        "ramGbPerVcpu": 2.0,
        "price": {"securePerVcpu": flavor.price, "serverlessPerVcpu": flavor.price},
    }
    if "include" in query:
        if "product" not in query:
            raise Refusal(400, "include=AVAILABILITY requires product")
        centers = [{"id": dc, "name": dc, "availability": level} for dc, level in flavor.stock.items()]
        document |= {"availability": "MEDIUM", "dataCenters": centers}
    return document
