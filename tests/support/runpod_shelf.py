"""What the stand-in for RunPod keeps of templates and endpoints: they are made, and pods are made from templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Refusal", "Shelf"]


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, status: int, detail: str, errors: list[str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


@dataclass(slots=True)
class Shelf:
    """Templates and endpoints by their ids."""

    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, method: str, words: list[str], body: Any) -> tuple[int, Any]:
        """Status and document of one request, its effect done."""
        match (method, *words):
            case ("POST", "templates"):
                return 201, self._template(body)
            case ("POST", "serverless"):
                return 201, self._endpoint(body)
        raise Refusal(404, "resource not found")

    def _template(self, request: dict[str, Any]) -> dict[str, Any]:
        defaults = {
            "args": "",
            "disk": 10,
            "mounts": {},
            "ports": [],
            "env": {},
            "registry": None,
            "serverless": False,
            "public": False,
            "category": "NVIDIA",
            "startSsh": True,
            "startJupyter": True,
            "allowedCudaVersions": [],
        }
        name = f"tpl{len(self.templates) + 1:05}"
        self.templates[name] = {"id": name, **defaults, **request}
        return self.templates[name]

    def _endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        if ("cpu" in request) == ("gpu" in request):
            raise Refusal(400, "exactly one of gpu or cpu must be set")
        if (template := request.pop("templateId", None)) is not None:
            request = self.applied(template, request, serverless=True)
        defaults = {"dataCenterIds": [], "networkVolumes": [], "timeout": 300000, "flashboot": "OFF"}
        name = f"ep{len(self.endpoints) + 1:05}"
        made = {"id": name, "createdAt": "2026-01-01T00:00:00Z", "workers": {"min": 0, "max": 3}, **defaults, **request}
        gpu = {"allowedCudaVersions": [], "minCudaVersion": None, **made["gpu"]} if "gpu" in made else None
        self.endpoints[name] = {**made, "gpu": gpu}
        return self.endpoints[name]

    def applied(self, name: str, request: dict[str, Any], *, serverless: bool) -> dict[str, Any]:
        """A request with what its template says: the request comes first, and variables are merged."""
        if name not in self.templates:
            raise Refusal(404, "template not found")
        template = self.templates[name]
        if template["serverless"] != serverless:
            raise Refusal(422, "the template is for something else")
        settings = {key: template[key] for key in ("image", "args", "disk", "ports", "registry")}
        return {**settings, **request, "env": {**template["env"], **request.get("env", {})}}
