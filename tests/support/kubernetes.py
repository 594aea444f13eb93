"""What ``kubectl apply -k`` would send, built by the real kustomize, and a few ways to look at it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["DEPLOY", "Built", "Document", "build"]

DEPLOY = Path(__file__).parents[2] / "deploy/kubernetes"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Built:
    """The documents of one kustomization."""

    documents: Sequence[Document]

    def of_kind(self, *kinds: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] in kinds]

    def names(self, kind: str) -> set[str]:
        return {document["metadata"]["name"] for document in self.of_kind(kind)}

    def workloads(self) -> Iterator[Document]:
        """The templates of its pods."""
        for document in self.of_kind("Job", "Deployment"):
            yield document["spec"]["template"]

    def containers(self) -> Iterator[tuple[Document, Document]]:
        """Each pod's template with each of its containers."""
        for template in self.workloads():
            for key in ("initContainers", "containers"):
                for container in template["spec"].get(key, ()):
                    yield template, container


def build(folder: Path) -> Built:
    """Build a kustomization; needs the part ``kubectl``."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    # A deprecated field is said here.
    assert done.stderr == "", done.stderr
    return Built(list(yaml.safe_load_all(done.stdout)))
