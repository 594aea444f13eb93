"""The commands about prefetch itself, and about the access that it has."""

from __future__ import annotations

from prefetch.commands.table.command import Command
from prefetch.commands.table.options import LISTENING, OUTPUT, TUNING

__all__ = ["AUTH_CHECK", "COMPLETION", "DEMO", "SCHEMA"]

AUTH_CHECK = Command(
    name="auth check",
    help="tell which tokens are found, and whether each host accepts them",
    about="Looks for the tokens of the Hub, Civitai and RunPod and for your own headers, and asks each host "
    "whether it accepts its own. Never shows a value. Exit code 3 where one is refused.",
    options=("allow_private", *OUTPUT),
    examples=(("prefetch auth check", "before 37 GB are waited for"),),
    load="prefetch.commands.auth_check:main",
)

COMPLETION = Command(
    name="completion",
    help="print what makes a shell complete prefetch's commands and options",
    about="Prints a script for bash, zsh or fish. Load it in the shell's start-up file.",
    options=("shell", "log_format"),
    examples=(
        ("prefetch completion bash > prefetch.bash", "then, in ~/.bashrc: . prefetch.bash"),
        ("prefetch completion zsh > ~/.zfunc/_prefetch", "with ~/.zfunc in fpath"),
        ("prefetch completion fish > prefetch.fish", "in ~/.config/fish/completions"),
    ),
    load="prefetch.commands.completion:main",
)

SCHEMA = Command(
    name="schema",
    help="print the manifest's JSON Schema",
    about="Prints the JSON Schema of a manifest, for an editor's completion and checks.",
    options=OUTPUT,
    examples=(("prefetch schema > manifest.schema.json", "keep it beside your manifests"),),
    load="prefetch.commands.schema:main",
)

DEMO = Command(
    name="demo",
    help="see all of it work in seconds, offline",
    about="Serves a small set of synthetic models from this machine, with one fault of each common kind, and puts "
    "them on ./volume.",
    options=("volume", *TUNING, *LISTENING, *OUTPUT),
    examples=(
        ("prefetch demo", "some 200 MB into ./volume"),
        ("prefetch demo --listen 127.0.0.1:9464", "watched on a page"),
    ),
    load="prefetch.commands.demo:main",
    needs_linux=True,
    resumes=True,
)
