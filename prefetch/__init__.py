"""Put a manifest's models on a volume: in parallel, resumed, verified, atomically placed."""

__version__ = "0.1.0"
