"""What ComfyUI wants to find where: workflows, model folders, nodes."""
