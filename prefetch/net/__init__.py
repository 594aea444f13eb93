"""HTTP as this program needs it: every request pinned to one origin, every response doubted, no secret printed."""
