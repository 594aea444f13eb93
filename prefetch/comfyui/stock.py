"""Where the stock image runpod/worker-comfyui looks for a model on the volume, and where it does not."""

from __future__ import annotations

from prefetch.comfyui.kinds import FOLDERS, STOCK_WORKER_FOLDERS

__all__ = ["is_seen", "stock_path"]

_TODAY = {names[0]: names for names in FOLDERS.values()}


def stock_path(path: str) -> str:
    """The path below the volume's root where the stock image finds what the manifest puts at ``path``.

    ``models/diffusion_models/x`` is ``models/unet/x`` there, and ``models/text_encoders/x`` is ``models/clip/x``.
    """
    models, _, rest = path.partition("/")
    folder, _, below = rest.partition("/")
    mapped = next((name for name in _TODAY.get(folder, ()) if name in STOCK_WORKER_FOLDERS), None)
    return path if models != "models" or mapped is None or not below else f"models/{mapped}/{below}"


def is_seen(path: str) -> bool:
    """Whether the stock image looks there; what lies outside ``models/`` is nothing ComfyUI looks for."""
    models, _, rest = path.partition("/")
    return models != "models" or rest.partition("/")[0] in STOCK_WORKER_FOLDERS
