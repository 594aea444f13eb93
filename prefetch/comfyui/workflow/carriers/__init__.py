"""The workflow that ComfyUI saves inside a picture, a video, a sound or a model, by family of formats."""
