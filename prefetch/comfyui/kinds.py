"""ComfyUI's kinds of models, and the folders below ``models/`` in which it looks for each.

From ComfyUI's folder_paths.py. Where a kind has two folders, the second one is its name of former days: ``clip`` for
text encoders, ``unet`` for diffusion models.
"""

from __future__ import annotations

__all__ = ["FOLDERS", "STOCK_WORKER_FOLDERS"]

FOLDERS: dict[str, tuple[str, ...]] = {
    "audio_encoders": ("audio_encoders",),
    "background_removal": ("background_removal",),
    "checkpoints": ("checkpoints",),
    "classifiers": ("classifiers",),
    "clip_vision": ("clip_vision",),
    "configs": ("configs",),
    "controlnet": ("controlnet", "t2i_adapter"),
    "detection": ("detection",),
    "diffusers": ("diffusers",),
    "diffusion_models": ("diffusion_models", "unet"),
    "embeddings": ("embeddings",),
    "frame_interpolation": ("frame_interpolation",),
    "geometry_estimation": ("geometry_estimation",),
    "gligen": ("gligen",),
    "hypernetworks": ("hypernetworks",),
    "latent_upscale_models": ("latent_upscale_models",),
    "loras": ("loras",),
    "model_patches": ("model_patches",),
    "optical_flow": ("optical_flow",),
    "photomaker": ("photomaker",),
    "style_models": ("style_models",),
    "text_encoders": ("text_encoders", "clip"),
    "upscale_models": ("upscale_models",),
    "vae": ("vae",),
    "vae_approx": ("vae_approx",),
}
"""Kind → its folders, today's first."""

STOCK_WORKER_FOLDERS = frozenset(
    {
        "checkpoints",
        "clip",
        "clip_vision",
        "configs",
        "controlnet",
        "embeddings",
        "loras",
        "unet",
        "upscale_models",
        "vae",
    }
)
"""The folders that the extra_model_paths.yaml of runpod/worker-comfyui (5.1.0 to 5.8.5) maps."""
