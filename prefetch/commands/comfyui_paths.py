"""``prefetch comfyui paths``: the file that shows ComfyUI the models on the volumes."""

from __future__ import annotations

from prefetch.comfyui.paths import VOLUMES, extra_model_paths
from prefetch.report.events import Listener
from prefetch.report.result import TextResult
from prefetch.settings import Settings

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> TextResult:
    """Print extra_model_paths.yaml for the volumes that were named, or for both places where RunPod mounts one."""
    volumes = [str(volume.absolute()) for volume in settings.volumes] or list(VOLUMES)
    return TextResult(extra_model_paths(volumes, extra=settings.kind).rstrip("\n"))
