"""The commands that stand beside ComfyUI in a container: the entrypoint and the sidecar."""

from __future__ import annotations

from prefetch.commands.table.command import Command
from prefetch.commands.table.options import OTHERS, OUTPUT, SIDECAR, TRUST, TUNING, WATCHED, WHAT, WHERE

__all__ = ["ENTRY"]

ENTRY: tuple[Command, ...] = (
    Command(
        name="hook",
        help="be an image's entrypoint: the models first, then the command",
        about="Sees to it that the models of PREFETCH_MANIFEST, <volume>/prefetch.yaml or /etc/prefetch/manifest.yaml "
        "are on the volume, links those that a custom node wants in its own folder, then becomes the command: same "
        "process, same signals, no tokens in its environment. With nothing to do, it takes milliseconds.",
        options=(
            "command",
            "mode",
            "require",
            "workflow",
            "deadline",
            "on_failure",
            "serve",
            *SIDECAR,
            "keep_env",
            "comfyui",
            *WHERE,
            "group",
            "layout",
            *TUNING,
            "quota",
            *OTHERS,
            "locked",
            *TRUST,
            *(name for name in WATCHED if name != "linger"),
            "log_format",
        ),
        examples=(
            ("prefetch hook -- /start.sh", "as an image's ENTRYPOINT"),
            ("prefetch hook --require i2v -- /start.sh", "the others meanwhile"),
            ("prefetch hook --mode verify -- /start.sh", "download nothing"),
            ("prefetch hook --serve -- /start.sh", "with the sidecar beside it"),
            ("prefetch hook --deadline 400 --on-failure continue -- /start.sh", "in any case"),
        ),
        load="prefetch.commands.hook:main",
        needs_linux=True,
        resumes=True,
    ),
    Command(
        name="serve",
        help="follow manifests and keep the volume to them: a sidecar",
        about="Brings the models of its manifests onto the volume as run does, then goes on: a manifest that changes, "
        "in a file or at an address, is brought about without a restart. Serves /metrics, /healthz and /readyz. SIGHUP "
        "reads the manifests again; SIGTERM ends it in order.",
        options=(
            *WHAT,
            "refresh",
            "require",
            *SIDECAR,
            *TUNING,
            "quota",
            *OTHERS,
            "fail_fast",
            "locked",
            *TRUST,
            "comfyui",
            *(name for name in WATCHED if name != "linger"),
            *OUTPUT,
        ),
        examples=(
            ("prefetch serve models.yaml --volume /workspace", "a file, followed"),
            ("prefetch serve --listen 127.0.0.1:9464", "for probes and Prometheus on this machine"),
            ("prefetch serve models.yaml --require i2v", "ready as soon as this group is there"),
            ("prefetch serve models.yaml --prune", "what the file no longer names is removed"),
            ("prefetch serve models.yaml --scrub 7", "every byte is read again once a week"),
        ),
        load="prefetch.commands.serve:main",
        needs_linux=True,
        resumes=True,
    ),
)
