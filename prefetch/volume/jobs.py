"""The one-shot jobs of pods, kept on the volume they were for: when each began, and what it came to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prefetch.volume import documents
from prefetch.volume.documents import Kind
from prefetch.volume.layout import Volume
from prefetch.volume.untrusted import OPTIONAL_COUNT, OPTIONAL_TEXT, Kinds, has_fields

__all__ = ["JOBS", "KEPT", "PodJob", "read_job", "write_job"]

KEPT = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_FIELDS: dict[str, Kinds] = {"pod": str, "began_ms": int, "ended_ms": OPTIONAL_COUNT, "then": OPTIONAL_TEXT}


@dataclass(frozen=True, slots=True)
class PodJob:
    """The job of one pod, or of one host elsewhere.

    Attributes:
        began_ms, ended_ms: milliseconds since 1970; None until it has come to something.
        then: what was to become of the pod: terminate, stop, exit or idle.
        result: the document of ``--json``.
    """

    pod: str
    began_ms: int
    ended_ms: int | None = None
    then: str | None = None
    result: Mapping[str, Any] | None = None


def write_job(volume: Volume, job: PodJob) -> None:
    """Keep it at ``.prefetch/jobs/<pod>.json``, and of all jobs the `KEPT` latest.

    Raises an error of ours if the volume refuses, and ValueError for a pod whose name is none of a file.
    """
    documents.write(volume, JOBS, _file_of(job.pod), asdict(job))
    documents.keep_newest(volume, JOBS, KEPT)


def read_job(volume: Volume, pod: str) -> PodJob | None:
    """The job of this pod; None if there is none, or what is there cannot be trusted."""
    return documents.read(volume, JOBS, _file_of(pod))


def _parse(name: str, document: Mapping[str, Any]) -> PodJob | None:
    result = document.get("result")
    if not has_fields(document, _FIELDS) or not isinstance(result, dict | None) or name != f"{document['pod']}.json":
        return None
    return PodJob(document["pod"], document["began_ms"], document["ended_ms"], document["then"], result)


def _file_of(pod: str) -> str:
    if not _NAME.fullmatch(pod):
        raise ValueError(f"{pod[:80]!r} is no name of a pod")
    return f"{pod}.json"


JOBS = Kind("jobs", re.compile(rf"{_NAME.pattern}\.json"), _parse, version=1)
