"""A stand-in for the Hugging Face Hub and its CDN on loopback: what ``prefetch demo`` and the tests download from."""
