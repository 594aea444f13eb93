"""From what a manifest names to a remote file that is pinned: size, hash, commit, and a way to its bytes."""
