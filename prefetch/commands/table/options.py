"""Options that several commands take, by the names of their fields in `Settings`."""

from __future__ import annotations

__all__ = ["ENDING", "HOSTS", "LISTENING", "OTHERS", "OUTPUT", "SIDECAR", "TRUST", "TUNING", "WATCHED", "WHAT", "WHERE"]

WHERE = ("volume", "require_mount")
WHAT = ("manifest", *WHERE, "group", "layout")
HOSTS = ("host_patience", "min_rate")
TUNING = ("connections", "memory", "range_size", "limit_rate", *HOSTS)
TRUST = ("allow_private", "allow_unpinned")
OTHERS = ("no_wait", "wait_timeout", "claim_ttl")
LISTENING = ("listen", "listen_token_file", "listen_basic_file", "insecure_listen", "linger")
WATCHED = (*LISTENING, "textfile", "pushgateway")
ENDING = ("on_success", "on_failed", "max_hours")
OUTPUT = ("json_", "log_format")
SIDECAR = ("poll", "prune", "scrub", "webhook", "webhook_secret_file")
