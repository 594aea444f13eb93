"""The entrypoint of an image, and the sidecar beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from prefetch import values
from prefetch.settings.option import option, switch

__all__ = ["Entry"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Entry:
    """What `hook` waits for and becomes, and what `serve` follows."""

    __slots__ = ()

    command: tuple[str, ...] = field(
        default=(),
        metadata=option(
            values.several(values.word("a command", "/start.sh", "CMD")),
            "the command to become, with its arguments; two dashes stand before it",
            positional=True,
        ),
    )
    mode: Literal["ensure", "verify", "off"] | None = field(
        default=None,
        metadata=option(
            values.choice("ensure", "verify", "off"),
            "ensure: download what is missing; verify: only compare sizes and times with the volume's record; off: do "
            "nothing; without it, verify where RUNPOD_ENDPOINT_ID is set (serverless), else ensure",
        ),
    )
    require: tuple[str, ...] = field(
        default=(),
        metadata=option(
            values.several(values.name("a group's name", "i2v", "GROUP")),
            "wait for the models of this group only; the others are fetched beside the command, or by serve after "
            "them; may be given more than once",
        ),
    )
    workflow: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("a file's path", "workflow.json", "FILE")),
            "start only if all that this ComfyUI workflow loads is in the manifests and on the volume; may be given "
            "more than once",
        ),
    )
    deadline: float | None = field(
        default=None,
        metadata=option(values.seconds(1, example="400"), "wait at most so many seconds for the models"),
    )
    on_failure: Literal["abort", "continue"] = field(
        default="abort",
        metadata=option(
            values.choice("abort", "continue"),
            "whether the command is not started, or started all the same, where the models are not there",
        ),
    )
    keep_env: bool = field(
        default=False, metadata=switch("leave PREFETCH_ variables and tokens in the command's environment")
    )
    serve: bool = field(
        default=False,
        metadata=switch(
            "leave a sidecar running beside the command, as prefetch serve: it follows the manifests, and listens "
            "where --listen says"
        ),
    )
    poll: float = field(
        default=60.0,
        metadata=option(
            values.seconds(0.1, 86400, example="60"),
            "seconds between two looks at a manifest's address; files are looked at every two seconds, or as often",
        ),
    )
    prune: bool = field(
        default=False,
        metadata=switch(
            "remove models that the manifests named once and name no more, when what they name now is there"
        ),
    )
    scrub: float | None = field(
        default=None,
        metadata=option(
            values.days(example="7"),
            "read the whole volume again once in so many days, evenly, and fetch what is damaged",
        ),
    )
    webhook: str | None = field(
        default=None,
        metadata=option(
            values.name("an address", "https://example.com/hooks/1", "URL"),
            "send signed messages there: models are ready or failed, a manifest was refused, a model is damaged",
        ),
    )
    webhook_secret_file: Path | None = field(
        default=None,
        metadata=option(
            values.path("a file's path", "/run/secrets/prefetch-webhook", "FILE"),
            "a file with the secret that messages to the webhook are signed with",
        ),
    )
