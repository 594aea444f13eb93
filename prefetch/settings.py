"""Every option of this program, each defined once: its type, its default, its help and how it is written.

`prefetch.loading` reads them, `prefetch.arguments` makes the command line of them. Standard library only: every command
comes through here, and the container's entrypoint has milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from prefetch import values
from prefetch.comfyui.paths import ExtraKind, parse_kind
from prefetch.runpod.options import (
    SecretFor,
    VolumeAt,
    parse_data_center,
    parse_gigabytes,
    parse_secret,
    parse_variable,
    parse_volume,
)
from prefetch.values import Endpoint, Kind

__all__ = [
    "PREFIX",
    "Option",
    "Settings",
    "default_of",
    "flag_of",
    "option_names",
    "option_of",
    "variable_of",
]

PREFIX = "PREFETCH_"
"""What the variable of every option begins with."""


@dataclass(frozen=True, slots=True)
class Option:
    """How a field of `Settings` is given.

    Attributes:
        kind: what may be written, and what it means.
        help: what it does, for the help and for docs/settings.md.
        positional: whether it is written without a ``--name`` before it.
        alone: what the option means without a value, where it may stand so.
        flag: how it is written on a command line, where that is not its field's name.
        variable: what stands behind PREFETCH_, where that is not its field's name. Options of two commands may share
            one: each takes the values that it knows.
        short: its one-letter form, where it has one.
    """

    kind: Kind
    help: str
    positional: bool = False
    alone: str | None = None
    flag: str | None = None
    variable: str | None = None
    short: str | None = None


def _option(kind: Kind, text: str, **how: Any) -> dict[str, Option]:
    return {"option": Option(kind, text, **how)}


def _power_of_two(text: str) -> int:
    number = int(text)
    if number not in (2, 4, 8, 16, 32):
        raise ValueError("not one of them")
    return number


def _switch(text: str) -> dict[str, Option]:
    return _option(values.switch(), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a person asked for. Made by `prefetch.loading`; sizes are bytes, rates bytes a second, None means unset."""

    manifest: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("a file's path", "models.yaml", "MANIFEST")),
            "YAML files that name the models; without one, all commands but lock take the first that exists of "
            "<volume>/prefetch.yaml and /etc/prefetch/manifest.yaml",
            positional=True,
        ),
    )
    volume: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a directory's path", "/workspace", "DIR"),
            "the directory models are put below; without it, the first mount point of /runpod-volume and /workspace "
            "(for demo: ./volume)",
        ),
    )
    group: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.name("a group's name", "i2v", "GROUP")),
            "only the models of this group; may be given more than once",
        ),
    )
    refresh: bool = field(default=False, metadata=_switch("ask the hosts again what a branch such as @main stands for"))
    connections: int = field(
        default=16,
        metadata=_option(values.whole(1, 64, example="16"), "most connections open at once, over all models"),
    )
    memory: int = field(
        default=200_000_000,
        metadata=_option(
            values.size("a size in bytes above 0", "200M", "SIZE"),
            "most memory for bytes between the network and the volume, beside some 80M of the program's own",
        ),
    )
    range_size: int | None = field(
        default=None,
        metadata=_option(
            values.size("a size in bytes above 0", "32Mi", "SIZE"),
            "bytes asked for in one request; without it, as many as each host's first byte takes to hide",
        ),
    )
    limit_rate: int | None = field(
        default=None,
        metadata=_option(
            values.size("a number of bytes a second above 0", "50M", "RATE"),
            "most bytes a second, over all connections: 50M is 50,000,000 bytes a second",
        ),
    )
    quota: int | None = field(
        default=None,
        metadata=_option(
            values.size("a size in bytes above 0", "100G", "SIZE"),
            "the volume's size as you bought it, where the file system does not tell (RunPod's network volumes): 100G "
            "or 93.1Gi",
        ),
    )
    fail_fast: bool = field(default=False, metadata=_switch("stop everything at the first model that fails for good"))
    no_wait: bool = field(
        default=False,
        metadata=_switch("end with exit code 5 where another process is fetching a model, do not wait for it"),
    )
    wait_timeout: float | None = field(
        default=None,
        metadata=_option(values.seconds(0, example="600"), "wait at most so many seconds for other processes"),
    )
    claim_ttl: float = field(
        default=60.0,
        metadata=_option(
            values.seconds(1, 3600, example="60"),
            "seconds after which a process that gives no sign of life is given up",
        ),
    )
    allow_private: bool = field(
        default=False,
        metadata=_switch("let a manifest's https:// sources lead to private and link-local addresses"),
    )
    allow_unpinned: bool = field(
        default=False,
        metadata=_switch("fetch .pth, .pt, .ckpt and .bin files that no hash pins; loading one can run code"),
    )
    locked: bool = field(default=False, metadata=_switch("refuse models that no lock beside their manifest pins"))
    upgrade: str | None = field(
        default=None,
        metadata=_option(
            values.name("a model's path or a pattern", "'models/loras/*'", "PATH"),
            "ask the hosts anew for this model, or for all of them, and change the lock",
            alone="*",
        ),
    )
    check: bool = field(
        default=False,
        metadata=_switch("only compare the manifest with its lock, offline; exit code 1 if they disagree"),
    )
    blocks: bool = field(
        default=False,
        metadata=_switch(
            "write the digest of every block too: from the volume's records, or else by reading the models"
        ),
    )
    yes: bool = field(default=False, metadata=_switch("do what is listed, without a question"))
    replaced: bool = field(
        default=False,
        metadata=_switch("list also the files that stood under a model's name before and were kept"),
    )
    quick: bool = field(default=False, metadata=_switch("compare sizes and times with the record, read no model"))
    archive: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("a file's path", "image.tar", "ARCHIVE")),
            "a saved image, an OCI layout, or a root file system's directory",
            positional=True,
        ),
    )
    manifest_out: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a file's path", "models.yaml", "FILE"),
            "the manifest to write, of the image's models; it must not exist yet",
            flag="--manifest",
        ),
    )
    workflow_files: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("a file's path", "workflow.json", "FILE")),
            "ComfyUI workflows: what its page saves or exports, or a picture that it saved",
            positional=True,
        ),
    )
    manifests: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("a file's path", "models.yaml", "MANIFEST")),
            "a manifest to compare with; may be given more than once; without it, PREFETCH_MANIFEST's or the volume's",
            flag="--manifest",
        ),
    )
    catalog: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("the path of a file or a directory", "manifests/", "FILE|DIR")),
            "where models are to be had: a manifest, a CSV table, ComfyUI-Manager's model-list.json, or a directory of "
            "them; may be given more than once",
        ),
    )
    loaders: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("a file's path", "my-loaders.yaml", "FILE")),
            "a table of node classes and the models that their inputs name, laid over the built-in one; may be given "
            "more than once",
        ),
    )
    output: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a file's path", "models.yaml", "FILE"),
            "the manifest to write, or to add to; without it, a new one is printed",
            short="-o",
        ),
    )
    volumes: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("a directory's path", "/workspace", "DIR")),
            "a place where a volume is mounted; may be given more than once; without it, /runpod-volume and /workspace",
            flag="--volume",
        ),
    )
    kind: tuple[ExtraKind, ...] = field(
        default=(),
        metadata=_option(
            values.several(
                values.Kind(
                    parse_kind, "a kind, or a kind and its folder below the volume", "ipadapter", "KIND[=FOLDER]"
                )
            ),
            "a kind of models that a custom node brings, and its folder on the volume (without one, models/KIND); may "
            "be given more than once",
        ),
    )
    require_mount: bool = field(
        default=False,
        metadata=_switch("refuse a --volume that is no mount point: what is put there would go with the container"),
    )
    layout: Literal["modern", "worker-comfyui"] = field(
        default="modern",
        metadata=_option(
            values.choice("modern", "worker-comfyui"),
            "where diffusion models and text encoders are put: as the manifest says, or in models/unet and "
            "models/clip, where the stock runpod/worker-comfyui image looks",
        ),
    )
    history: bool = field(default=False, metadata=_switch("list the runs of the past instead"))
    listen: Endpoint | None = field(
        default=None,
        metadata=_option(
            values.endpoint("an address of this machine and a port", "127.0.0.1:9464", "HOST:PORT"),
            "serve a page, /metrics, /healthz and /readyz there while the command runs",
        ),
    )
    listen_token_file: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a file's path", "/run/secrets/prefetch-token", "FILE"),
            "a file with the bearer token that requests must carry",
        ),
    )
    listen_basic_file: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a file's path", "/run/secrets/prefetch-login", "FILE"),
            "a file with the name:password that requests must carry",
        ),
    )
    insecure_listen: bool = field(
        default=False, metadata=_switch("listen on an address that others reach without a token or a password")
    )
    linger: float = field(
        default=0.0,
        metadata=_option(
            values.seconds(0, example="60"), "go on listening for so many seconds after the run, for a last scrape"
        ),
    )
    textfile: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a file's path", "/metrics/prefetch.prom", "FILE"),
            "write the metrics to this file, every five seconds and at the end, for node_exporter's textfile collector",
        ),
    )
    pushgateway: str | None = field(
        default=None,
        metadata=_option(
            values.name("an address", "https://pushgateway.example.com:9091", "URL"),
            "push the metrics there, every ten seconds and at the end",
        ),
    )
    shell: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            values.several(replace(values.choice("fish", "zsh", "bash"), metavar="SHELL")),
            "the shell that is to complete commands: bash, zsh or fish",
            positional=True,
        ),
    )
    comfyui: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a directory's path", "/comfyui", "DIR"),
            "ComfyUI's folder, where models are linked that have a node_path (for hook: without it, the first that is "
            "there of /comfyui and /workspace/ComfyUI)",
        ),
    )
    mode: Literal["ensure", "verify", "off"] | None = field(
        default=None,
        metadata=_option(
            values.choice("ensure", "verify", "off"),
            "ensure: download what is missing; verify: only compare sizes and times with the volume's record; off: do "
            "nothing; without it, verify where RUNPOD_ENDPOINT_ID is set (serverless), else ensure",
        ),
    )
    require: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.name("a group's name", "i2v", "GROUP")),
            "wait for the models of this group only; the others are fetched beside the command, or by serve after "
            "them; may be given more than once",
        ),
    )
    deadline: float | None = field(
        default=None,
        metadata=_option(values.seconds(1, example="400"), "wait at most so many seconds for the models"),
    )
    on_failure: Literal["abort", "continue"] = field(
        default="abort",
        metadata=_option(
            values.choice("abort", "continue"),
            "whether the command is not started, or started all the same, where the models are not there",
        ),
    )
    on_success: Literal["terminate", "stop", "exit", "idle"] | None = field(
        default=None,
        metadata=_option(
            values.choice("stop", "exit", "idle", "terminate"),
            "what becomes of this RunPod pod when all is there: remove it, stop it, let the command end, or stay; "
            "without it, the command ends, which makes RunPod start it again",
        ),
    )
    on_failed: Literal["terminate", "stop", "exit", "idle"] | None = field(
        default=None,
        metadata=_option(
            values.choice("stop", "exit", "idle", "terminate"),
            "what becomes of this RunPod pod when something failed",
            flag="--on-failure",
            variable="ON_FAILURE",
        ),
    )
    max_hours: float | None = field(
        default=None,
        metadata=_option(
            values.hours(8760, example="6"),
            "the most hours from the beginning, over restarts of the container: a run is stopped then and has failed, "
            "and a pod that idles is removed",
        ),
    )
    workflow: tuple[Path, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.path("a file's path", "workflow.json", "FILE")),
            "start only if all that this ComfyUI workflow loads is in the manifests and on the volume; may be given "
            "more than once",
        ),
    )
    serve: bool = field(
        default=False,
        metadata=_switch(
            "leave a sidecar running beside the command, as prefetch serve: it follows the manifests, and listens "
            "where --listen says"
        ),
    )
    keep_env: bool = field(
        default=False, metadata=_switch("leave PREFETCH_ variables and tokens in the command's environment")
    )
    prune: bool = field(
        default=False,
        metadata=_switch(
            "remove models that the manifests named once and name no more, when what they name now is there"
        ),
    )
    scrub: float | None = field(
        default=None,
        metadata=_option(
            values.days(example="7"),
            "read the whole volume again once in so many days, evenly, and fetch what is damaged",
        ),
    )
    webhook: str | None = field(
        default=None,
        metadata=_option(
            values.name("an address", "https://example.com/hooks/1", "URL"),
            "send signed messages there: models are ready or failed, a manifest was refused, a model is damaged",
        ),
    )
    webhook_secret_file: Path | None = field(
        default=None,
        metadata=_option(
            values.path("a file's path", "/run/secrets/prefetch-webhook", "FILE"),
            "a file with the secret that messages to the webhook are signed with",
        ),
    )
    poll: float = field(
        default=60.0,
        metadata=_option(
            values.seconds(0.1, 86400, example="60"),
            "seconds between two looks at a manifest's address; files are looked at every two seconds, or as often",
        ),
    )
    data_center: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            values.listed(values.Kind(parse_data_center, "a data center of RunPod's", "EU-RO-1", "DC")),
            "the data centers whose volumes are to be filled, several with commas",
        ),
    )
    volume_id: tuple[VolumeAt, ...] = field(
        default=(),
        metadata=_option(
            values.listed(
                values.Kind(
                    parse_volume, "a volume's id, or a data center and a volume's id", "EU-RO-1=vol123", "DC=ID"
                )
            ),
            "the network volume to fill, by its id, alone or behind its data center; may be given more than once",
        ),
    )
    create: str | None = field(
        default=None,
        metadata=_option(
            values.name("a name for the volume", "comfy-models", "NAME"),
            "in each data center without a --volume-id, fill the volume of this name; make it where there is none",
        ),
    )
    volume_size: int | None = field(
        default=None,
        metadata=_option(
            values.Kind(parse_gigabytes, "a size from 10 to 4096 GB", "50", "GB"),
            "the size of a volume that is made, in GB",
            flag="--size",
        ),
    )
    image: str | None = field(
        default=None,
        metadata=_option(
            values.name("an image's name", "ghcr.io/you/prefetch:1", "IMAGE"),
            "the image that the pod runs, made from Dockerfile.prefetch",
        ),
    )
    registry: str | None = field(
        default=None,
        metadata=_option(
            values.name("the id of a registry login", "clx123", "ID"),
            "the registry login, as RunPod keeps it, for an image that is not public",
        ),
    )
    secret: tuple[SecretFor, ...] = field(
        default=(),
        metadata=_option(
            values.listed(
                values.Kind(parse_secret, "a variable and a RunPod secret's name", "HF_TOKEN=hf_token", "NAME=SECRET")
            ),
            "a variable of the pod that gets its value from a RunPod secret; may be given more than once",
        ),
    )
    pass_env: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            values.listed(values.Kind(parse_variable, "a variable's name", "PREFETCH_TOKENS", "NAME")),
            "a variable that the pod gets with the value it has here, in clear text for all who may see the pod; may "
            "be given more than once",
        ),
    )
    cpu: str | None = field(
        default=None,
        metadata=_option(
            values.name("a CPU flavor's id", "cpu5c", "FLAVOR"),
            "the kind of CPU pod; without it, the cheapest that is in stock, then the next",
        ),
    )
    vcpu: int = field(
        default=2,
        metadata=_option(
            values.Kind(_power_of_two, "a power of two from 2 to 32", "4", "N"), "the virtual CPUs of the pod"
        ),
    )
    command: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            values.several(values.word("a command", "/start.sh", "CMD")),
            "the command to become, with its arguments; two dashes stand before it",
            positional=True,
        ),
    )
    json_: bool = field(default=False, metadata=_switch("print one JSON document on standard output, on errors too"))
    log_format: Literal["text", "json"] = field(
        default="text",
        metadata=_option(
            values.choice("text", "json"),
            "how progress is written on standard error: for people, or one JSON object a line",
        ),
    )


def option_names() -> tuple[str, ...]:
    """The fields of `Settings`, in their order."""
    return tuple(item.name for item in fields(Settings))


def option_of(name: str) -> Option:
    """How a field of `Settings` is given."""
    option: Option = Settings.__dataclass_fields__[name].metadata["option"]
    return option


def default_of(name: str) -> object:
    """What a field is where nobody has given it."""
    return Settings.__dataclass_fields__[name].default


def flag_of(name: str) -> str:
    """The option a field is given by on the command line: ``limit_rate`` → ``--limit-rate``."""
    return option_of(name).flag or "--" + name.rstrip("_").replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable a field is read from: ``limit_rate`` → ``PREFETCH_LIMIT_RATE``."""
    return PREFIX + (option_of(name).variable or name.rstrip("_").upper())
