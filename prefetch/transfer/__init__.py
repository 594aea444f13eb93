"""Moving bytes from origins onto a volume: ranges, connections, hashing, retries. Knows no Hub and no ComfyUI."""
