"""The commands that put a manifest's models on a volume, and look after them there."""

from __future__ import annotations

from prefetch.commands.table.command import Command
from prefetch.commands.table.options import ENDING, HOSTS, OTHERS, OUTPUT, TRUST, TUNING, WATCHED, WHAT, WHERE

__all__ = ["VOLUME"]

VOLUME: tuple[Command, ...] = (
    Command(
        name="run",
        help="put the manifest's models on the volume",
        about="Fetches what is missing, in parallel, goes on where an earlier run stopped, verifies every byte and "
        "puts each model under its name only when it is whole. What is there already is not fetched again.",
        options=(
            *WHAT,
            "refresh",
            *TUNING,
            "quota",
            *OTHERS,
            "fail_fast",
            "locked",
            *TRUST,
            "comfyui",
            *ENDING,
            *WATCHED,
            *OUTPUT,
        ),
        examples=(
            ("prefetch run models.yaml --volume /workspace", "the usual case"),
            ("prefetch run models.yaml --group i2v --group vae", "a part of the manifest"),
            ("prefetch run --listen 127.0.0.1:9464 --linger 60", "with metrics for Prometheus"),
            ("prefetch run --limit-rate 50M --quota 100G", "gently, on a volume of 100 GB"),
            ("prefetch run --on-success terminate --max-hours 6", "as a RunPod pod's only job"),
        ),
        load="prefetch.commands.run:main",
        needs_linux=True,
        resumes=True,
    ),
    Command(
        name="plan",
        help="tell what run would fetch, and whether it would fit",
        about="Compares the manifest with the volume, or where there is none with an empty one, and asks the hosts for "
        "sizes and hashes. Touches nothing.",
        options=(*WHAT, "refresh", "connections", "host_patience", "quota", "locked", *TRUST, *OUTPUT),
        examples=(("prefetch plan models.yaml --volume /workspace", "what is missing, and how many bytes"),),
        load="prefetch.commands.plan:main",
    ),
    Command(
        name="lock",
        help="pin every model of a manifest in a lock beside it",
        about="Writes NAME.lock.json beside NAME.yaml: commit, size and SHA-256 of every model, as its host tells "
        "them; a model is downloaded only where its host does not tell. What is locked stays as it is.",
        options=(
            "manifest",
            "upgrade",
            "check",
            "blocks",
            "volume",
            "connections",
            "limit_rate",
            *HOSTS,
            "allow_private",
            *OUTPUT,
        ),
        examples=(
            ("prefetch lock models.yaml", "pin what is not pinned yet"),
            ("prefetch lock models.yaml --upgrade", "pin what the hosts have now"),
            ("prefetch lock models.yaml --upgrade 'models/loras/*'", "the same for some"),
            ("prefetch lock models.yaml --blocks --volume /workspace", "and the digest of every block"),
            ("prefetch lock models.yaml --check", "for CI: do the two agree?"),
        ),
        load="prefetch.commands.lock:main",
    ),
    Command(
        name="verify",
        help="read the models on the volume again and compare their hashes",
        about="Reads every model of the manifest from the volume and compares its SHA-256. Changes no model; "
        "what is damaged is noted, so that the next run mends it.",
        options=(*WHAT, "quick", *OUTPUT),
        examples=(
            ("prefetch verify models.yaml --volume /workspace", "read everything"),
            ("prefetch verify --quick", "only compare sizes and times with the record"),
        ),
        load="prefetch.commands.verify:main",
        needs_linux=True,
    ),
    Command(
        name="status",
        help="tell what is on the volume and what is running",
        about="Reads the volume's own records: what was placed there, what is unfinished, and who is at work; or, with "
        "--history, the runs of the past.",
        options=("volume", "history", *OUTPUT),
        examples=(
            ("prefetch status --volume /workspace", "what is here"),
            ("prefetch status --history", "what was done here, the latest first"),
        ),
        load="prefetch.commands.status:main",
        needs_linux=True,
    ),
    Command(
        name="prune",
        help="remove what was placed here and no manifest names now",
        about="Lists the models that prefetch placed here and that none of the manifests names, and partial files of "
        "such models; with --yes, removes them. Files that prefetch did not place, that changed since, or that "
        "somebody is at work on are kept.",
        options=("manifest", *WHERE, "layout", "yes", "replaced", *OUTPUT),
        examples=(
            ("prefetch prune models.yaml loras.yaml --volume /workspace", "list: name every manifest in use"),
            ("prefetch prune models.yaml --yes", "remove"),
            ("prefetch prune models.yaml --replaced --yes", "and what was kept of others' files"),
        ),
        load="prefetch.commands.prune:main",
        needs_linux=True,
    ),
)
