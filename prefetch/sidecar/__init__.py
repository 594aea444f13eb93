"""What `serve` does: follows its manifests, keeps the volume to them, and says how it stands."""
