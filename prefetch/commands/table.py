"""The commands: what each is for, which settings it takes, and where its code is. Imports none of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prefetch.errors import PrefetchError
    from prefetch.report.notice import Listener
    from prefetch.settings import Settings

__all__ = ["COMMANDS", "Command", "Outcome"]


class Outcome(Protocol):
    """What a command ends with."""

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        ...

    @property
    def text(self) -> str:
        """The result for a person, on standard output; empty where standard error has told all."""
        ...

    @property
    def error(self) -> PrefetchError | None:
        """Why it ended so, where one error did."""
        ...

    def to_json(self) -> str:
        """The result for ``--json``."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One word after ``prefetch``, or two: a family and a word.

    Attributes:
        help: one line, for the list of commands.
        about: a paragraph, for the command's own help.
        options: fields of `Settings` the command takes, in the order of its help.
        examples: command lines with what each does.
        needs_linux: whether it opens a volume to write there, or an address to be watched at, as only Linux can.
        load: ``module:function``; the function takes the settings and a listener and blocks until its outcome.
    """

    name: str
    help: str
    about: str
    options: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    load: str
    needs_linux: bool = False

    @property
    def may_end_a_pod(self) -> bool:
        """Whether it can be a pod's one-shot job."""
        return "on_success" in self.options

    def function(self) -> Callable[[Settings, Listener], Outcome]:
        """Import the command's code."""
        module, _, name = self.load.partition(":")
        function: Callable[[Settings, Listener], Outcome] = getattr(import_module(module), name)
        return function


_WHERE = ("volume", "require_mount")
_WHAT = ("manifest", *_WHERE, "group", "layout")
_TUNING = ("connections", "memory", "range_size", "limit_rate")
_TRUST = ("allow_private", "allow_unpinned")
_OTHERS = ("no_wait", "wait_timeout", "claim_ttl")
_LISTENING = ("listen", "listen_token_file", "listen_basic_file", "insecure_listen", "linger")
_WATCHED = (*_LISTENING, "textfile", "pushgateway")
_ENDING = ("on_success", "on_failed", "max_hours")
_OUTPUT = ("json_", "log_format")
_SIDECAR = ("poll", "prune", "scrub", "webhook", "webhook_secret_file")
_ENTRY = ("mode", "require", "workflow", "deadline", "on_failure", "serve", *_SIDECAR, "keep_env", "comfyui")

COMMANDS: tuple[Command, ...] = (
    Command(
        name="run",
        help="put the manifest's models on the volume",
        about="Fetches what is missing, in parallel, goes on where an earlier run stopped, verifies every byte and "
        "puts each model under its name only when it is whole. What is there already is not fetched again.",
        options=(
            *_WHAT,
            "refresh",
            *_TUNING,
            "quota",
            *_OTHERS,
            "fail_fast",
            "locked",
            *_TRUST,
            "comfyui",
            *_ENDING,
            *_WATCHED,
            *_OUTPUT,
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
    ),
    Command(
        name="plan",
        help="tell what run would fetch, and whether it would fit",
        about="Compares the manifest with the volume, or where there is none with an empty one, and asks the hosts for "
        "sizes and hashes. Touches nothing.",
        options=(*_WHAT, "refresh", "connections", "quota", "locked", *_TRUST, *_OUTPUT),
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
            "allow_private",
            *_OUTPUT,
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
        options=(*_WHAT, "quick", *_OUTPUT),
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
        options=("volume", "history", *_OUTPUT),
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
        options=("manifest", *_WHERE, "layout", "yes", "replaced", *_OUTPUT),
        examples=(
            ("prefetch prune models.yaml loras.yaml --volume /workspace", "list: name every manifest in use"),
            ("prefetch prune models.yaml --yes", "remove"),
            ("prefetch prune models.yaml --replaced --yes", "and what was kept of others' files"),
        ),
        load="prefetch.commands.prune:main",
        needs_linux=True,
    ),
    Command(
        name="auth check",
        help="tell which tokens are found, and whether each host accepts them",
        about="Looks for the tokens of the Hub, Civitai and RunPod and for your own headers, and asks each host "
        "whether it accepts its own. Never shows a value. Exit code 3 where one is refused.",
        options=("allow_private", *_OUTPUT),
        examples=(("prefetch auth check", "before 37 GB are waited for"),),
        load="prefetch.commands.auth_check:main",
    ),
    Command(
        name="comfyui paths",
        help="print the extra_model_paths.yaml that shows ComfyUI the volume",
        about="Prints extra_model_paths.yaml for ComfyUI: every kind of model it knows, in the folders of today and of "
        "former days, on each volume. Put it beside ComfyUI's main.py; ComfyUI reads it by itself.",
        options=("volumes", "kind", *_OUTPUT),
        examples=(
            (
                "prefetch comfyui paths > /comfyui/extra_model_paths.yaml",
                "for both of RunPod's mounts",
            ),
            ("prefetch comfyui paths --volume /data --kind ipadapter", "for one, with a custom node's kind"),
        ),
        load="prefetch.commands.comfyui_paths:main",
    ),
    Command(
        name="workflow models",
        help="tell which model files a ComfyUI workflow loads",
        about="Reads ComfyUI workflows, as its page saves or exports them, or from pictures, and tells exactly the "
        "model files that each loads: what is muted, bypassed or switched off is not among them. What cannot be "
        "decided is said, and nothing is guessed.",
        options=("workflow_files", "loaders", *_OUTPUT),
        examples=(
            ("prefetch workflow models workflow.json", "the files, and which nodes load them"),
            ("prefetch workflow models workflows/*.json --json", "several, as a document"),
        ),
        load="prefetch.commands.workflow_models:main",
    ),
    Command(
        name="workflow manifest",
        help="write the minimal manifest for ComfyUI workflows",
        about="Writes a manifest of exactly the models that the workflows load, with sources from the catalogs and "
        "from the workflows themselves. What has no source stands in it as a comment, and makes the exit code 1. An "
        "existing manifest keeps its comments and its order.",
        options=("workflow_files", "output", "catalog", "loaders", *_OUTPUT),
        examples=(
            ("prefetch workflow manifest workflow.json -o models.yaml", "a new manifest, or add to one"),
            ("prefetch workflow manifest *.json --catalog manifests/", "print one"),
        ),
        load="prefetch.commands.workflow_manifest:main",
    ),
    Command(
        name="workflow check",
        help="compare ComfyUI workflows with manifests and with a volume",
        about="Tells which models of the workflows no manifest names, and which of the manifests' models no workflow "
        "loads, with the bytes they cost; with --volume also whether each is there and verified. Exit code 1 if one is "
        "missing.",
        options=("workflow_files", "manifests", "volume", "loaders", *_OUTPUT),
        examples=(
            ("prefetch workflow check workflows/*.json --manifest models.yaml", "for CI"),
            ("prefetch workflow check w.json --manifest models.yaml --volume /workspace", "is all of it there?"),
        ),
        load="prefetch.commands.workflow_check:main",
    ),
    Command(
        name="image audit",
        help="tell what a container image carries, and how often",
        about="Reads a saved image (docker save, buildah push, an OCI layout, or a root file system) once and tells "
        "what each layer stores, what later layers hide of it, what is stored more than once, and which models "
        "are in it, by their content. With --manifest, it writes them down as a manifest, each with its source where a "
        "catalog knows a file of the same SHA-256; what has no source stands in it as a comment, and makes the exit "
        "code 1.",
        options=("archive", "manifest_out", "catalog", *_OUTPUT),
        examples=(
            ("prefetch image audit image.tar", "after: docker save -o image.tar IMAGE"),
            ("prefetch image audit image.tar --manifest models.yaml", "and its models as a manifest"),
            ("prefetch image audit / --json", "the file system of this machine, as JSON"),
        ),
        load="prefetch.commands.image_audit:main",
    ),
    Command(
        name="runpod populate",
        help="fill network volumes by pods that are made for it and removed again",
        about="Checks the sizes from the lock, makes the network volume if asked to, tells what it will cost and asks, "
        "then has a CPU pod with the volume fetch the models, follows it, and removes the pod however it ends. Several "
        "data centers are filled at once. Needs RUNPOD_API_KEY. Run again after a crash, it goes on with the pod that "
        "is there.",
        options=(
            "manifest",
            "data_center",
            "volume_id",
            "create",
            "volume_size",
            "image",
            "registry",
            "secret",
            "pass_env",
            "cpu",
            "vcpu",
            "max_hours",
            "group",
            "layout",
            "yes",
            "allow_private",
            *_OUTPUT,
        ),
        examples=(
            (
                "prefetch runpod populate m.yaml --data-center EU-RO-1 --create comfy --size 50",
                "make it",
            ),
            (
                "prefetch runpod populate m.yaml --volume-id EU-RO-1=abc,US-KS-2=def",
                "two at once",
            ),
            (
                "prefetch runpod populate m.yaml --volume-id abc --secret HF_TOKEN=hf_token",
                "with a token",
            ),
        ),
        load="prefetch.commands.runpod_populate:main",
    ),
    Command(
        name="runpod clean",
        help="remove pods that populate has left",
        about="Lists the pods that carry the mark of prefetch runpod populate, and asks whether to remove them. A pod "
        "that another populate is following right now is among them: see its age. Volumes are not touched.",
        options=("yes", *_OUTPUT),
        examples=(
            ("prefetch runpod clean", "list and ask"),
            ("prefetch runpod clean --yes", "remove all of them"),
        ),
        load="prefetch.commands.runpod_clean:main",
    ),
    Command(
        name="completion",
        help="print what makes a shell complete prefetch's commands and options",
        about="Prints a script for bash, zsh or fish. Load it in the shell's start-up file.",
        options=("shell", *_OUTPUT),
        examples=(
            ("prefetch completion bash > prefetch.bash", "then, in ~/.bashrc: . prefetch.bash"),
            ("prefetch completion zsh > ~/.zfunc/_prefetch", "with ~/.zfunc in fpath"),
            ("prefetch completion fish > prefetch.fish", "in ~/.config/fish/completions"),
        ),
        load="prefetch.commands.completion:main",
    ),
    Command(
        name="hook",
        help="be an image's entrypoint: the models first, then the command",
        about="Sees to it that the models of PREFETCH_MANIFEST, <volume>/prefetch.yaml or /etc/prefetch/manifest.yaml "
        "are on the volume, links those that a custom node wants in its own folder, then becomes the command: same "
        "process, same signals, no tokens in its environment. With nothing to do, it takes milliseconds.",
        options=(
            "command",
            *_ENTRY,
            *_WHERE,
            "group",
            "layout",
            *_TUNING,
            "quota",
            *_OTHERS,
            "locked",
            *_TRUST,
            *(name for name in _WATCHED if name != "linger"),
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
    ),
    Command(
        name="serve",
        help="follow manifests and keep the volume to them: a sidecar",
        about="Brings the models of its manifests onto the volume as run does, then goes on: a manifest that changes, "
        "in a file or at an address, is brought about without a restart. Serves /metrics, /healthz and /readyz. SIGHUP "
        "reads the manifests again; SIGTERM ends it in order.",
        options=(
            *_WHAT,
            "refresh",
            "require",
            *_SIDECAR,
            *_TUNING,
            "quota",
            *_OTHERS,
            "fail_fast",
            "locked",
            *_TRUST,
            "comfyui",
            *(name for name in _WATCHED if name != "linger"),
            *_OUTPUT,
        ),
        examples=(
            ("prefetch serve models.yaml --volume /workspace", "a file, followed"),
            ("prefetch serve --listen 0.0.0.0:9464", "for probes; wants PREFETCH_LISTEN_TOKEN"),
            ("prefetch serve models.yaml --require i2v", "ready as soon as this group is there"),
            ("prefetch serve models.yaml --prune", "what the file no longer names is removed"),
            ("prefetch serve models.yaml --scrub 7", "every byte is read again once a week"),
        ),
        load="prefetch.commands.serve:main",
        needs_linux=True,
    ),
    Command(
        name="schema",
        help="print the manifest's JSON Schema",
        about="Prints the JSON Schema of a manifest, for an editor's completion and checks.",
        options=_OUTPUT,
        examples=(("prefetch schema > manifest.schema.json", "keep it beside your manifests"),),
        load="prefetch.commands.schema:main",
    ),
    Command(
        name="demo",
        help="see all of it work in seconds, offline",
        about="Serves a small set of synthetic models from this machine, with one fault of each common kind, and puts "
        "them on ./volume.",
        options=("volume", *_TUNING, *_LISTENING, *_OUTPUT),
        examples=(
            ("prefetch demo", "some 200 MB into ./volume"),
            ("prefetch demo --listen 127.0.0.1:9464", "watched on a page"),
        ),
        load="prefetch.commands.demo:main",
        needs_linux=True,
    ),
)
