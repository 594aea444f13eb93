"""What is written for readers is true: links, commands, messages, settings, rooms; and it names no machine."""

from __future__ import annotations

import ast
import itertools
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from prefetch.arguments import parse
from prefetch.commands.table import COMMANDS
from prefetch.errors import PrefetchError
from prefetch.report.events import DoneStatus
from prefetch.verification import Status

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
BY_NAME = {command.name: command for command in COMMANDS}

ROOMS = {
    "net": {"errors"},
    "sources": {"errors", "net", "volume"},
    "sources/refs": {"net"},
    "manifest": {"errors", "given", "inputs", "net", "sources", "volume", "yamlfile"},
    "transfer": {"errors", "loop", "net", "report", "signals", "volume"},
    "volume": {"errors", "inputs", "report", "system"},
    "report": {"errors"},
    "monitor": {"errors", "net", "report", "settings", "signals", "values", "volume"},
    "demo": {"errors"},
    "comfyui": {"errors", "manifest", "report", "sources", "volume"},
    "comfyui/workflow": {"errors", "volume", "yamlfile"},
    "image": {"errors", "report"},
    "runpod": {"errors", "net", "report", "sources"},
    "settings": {"comfyui", "net", "runpod", "values"},
}
"""For each room the rooms it may know: docs/architecture.md."""

SEAMS = {
    ("transfer", "net"): {"prefetch.net.bounds", "prefetch.net.origin", "prefetch.net.retry"},
    ("volume", "report"): {"prefetch.report.humanize"},
    ("image", "report"): {"prefetch.report.humanize"},
    ("settings", "comfyui"): {"prefetch.comfyui.paths"},
    ("settings", "net"): {"prefetch.net.bounds"},
    ("settings", "runpod"): {"prefetch.runpod.options"},
    ("runpod", "report"): {"prefetch.report.events", "prefetch.report.humanize"},
    ("runpod", "sources"): {"prefetch.sources.tokens"},
    ("monitor", "net"): {"prefetch.net.credentials", "prefetch.net.daemon", "prefetch.net.urls"},
    ("sources/refs", "net"): {"prefetch.net.urls"},
    ("comfyui", "sources"): {"prefetch.sources.refs.source"},
    ("comfyui", "volume"): {"prefetch.volume.reading"},
    ("comfyui/workflow", "volume"): {"prefetch.volume.paths", "prefetch.volume.reading"},
    ("manifest", "net"): {"prefetch.net.urls"},
    ("manifest", "sources"): {f"prefetch.sources.refs.{name}" for name in ("file", "folder", "http", "source")},
    ("manifest", "volume"): {"prefetch.volume.paths", "prefetch.volume.reading"},
    ("monitor", "volume"): {"prefetch.volume.reading"},
    ("sources", "volume"): {"prefetch.volume.reading"},
}
"""Where a room knows another only by a few of its modules."""


def slug(heading: str) -> str:
    """The anchor that a heading gets where this is shown."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(found[1]) for found in re.finditer(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


def test_every_page_is_listed_in_the_sites_contents() -> None:
    listed = set((DOCS / "index.md").read_text(encoding="utf-8").splitlines())
    assert {page.stem for page in DOCS.glob("*.md")} - listed == {"index"}


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every ``prefetch …`` in code, as words, without comments and what follows a pipe or a redirection."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"^    (prefetch .*)$", text, re.MULTILINE)
    lines += re.findall(r"`((?:PREFETCH_\w+=\S+ )?prefetch [^`]+)`", text)
    for line in lines:
        match = re.match(r"\s*(?:\$ )?prefetch ([a-z].*)", line)
        if match:
            yield re.split(r"\s(?:#|>|\|)", match[1].rstrip("…"))[0].split()


def test_commands_shown_exist() -> None:
    shown = [(page, words) for page in PAGES for words in command_lines(page)]
    assert len(shown) > 15
    for page, words in shown:
        name = " ".join(words[:2]) if " ".join(words[:2]) in BY_NAME else words[0]
        assert name in BY_NAME, f"{page.name}: prefetch {' '.join(words)}"
        parse(BY_NAME[name], words[len(name.split()) :])


def test_options_named_exist() -> None:
    known = {"--help", "--version"} | set(re.findall(r"--[a-z-]+", (DOCS / "settings.md").read_text(encoding="utf-8")))
    for page in [ROOT / "README.md", *(DOCS / f"{name}.md" for name in ("troubleshooting", "results", "durability"))]:
        for option in re.findall(r"`(--[a-z-]+)", page.read_text(encoding="utf-8")):
            assert option in known, f"{page.name}: {option}"


@pytest.mark.parametrize("name", ["settings", "commands", "manifest", "metrics", "scaling"])
def test_a_generated_page_is_current(name: str) -> None:
    page = runpy.run_path(str(DOCS / f"make_{name}.py"))["page"]()
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == page, "run: make reference"


def strings_of(tree: ast.AST) -> Iterator[str]:
    """Every text in the source, with a NUL where a value is put in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_messages_explained_are_messages_of_the_program() -> None:
    sources = (ROOT / "prefetch").rglob("*.py")
    corpus = "\n".join(text for file in sources for text in strings_of(ast.parse(file.read_text(encoding="utf-8"))))
    rows = re.findall(r"^\| (`.*?) \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 40
    for message in messages:
        for piece in filter(lambda piece: len(piece) > 9, re.split(r"\s*(?:…|[45][0-9][0-9])\s*", message)):
            assert piece in corpus, f"{piece!r} of {message!r}"


def messages_raised() -> Iterator[str]:
    """The message of every error that the program's text raises, with a NUL where a value is put in."""
    classes = {error.__name__ for error in all_codes()}
    for file in (ROOT / "prefetch").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name) and node.func.id in classes:
                yield from itertools.islice(strings_of(node.args[0]), 1)


def test_every_message_is_explained() -> None:
    pages = "".join((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("troubleshooting", "manifest"))
    entries = [
        [piece for piece in re.split(r"\s*…\s*", entry) if len(piece) > 5] for entry in re.findall(r"`([^`]+)`", pages)
    ]
    for message in messages_raised():
        # What is put together from other sentences is explained by those.
        if max(map(len, message.split("\0"))) > 8:
            assert any(pieces and all(piece in message for piece in pieces) for pieces in entries), message


def all_codes(error: type[PrefetchError] = PrefetchError) -> Iterator[type[PrefetchError]]:
    yield error
    for below in error.__subclasses__():
        yield from all_codes(below)


def test_every_exit_code_and_status_is_explained() -> None:
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    logs = (DOCS / "logs.md").read_text(encoding="utf-8")
    for error in all_codes():
        assert f"| {error.exit_code} |" in results
        assert f"`{error.code}`" in logs
    for status in (*get_args(DoneStatus), *get_args(Status)):
        assert f"| `{status}` |" in results


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("prefetch."):
            yield node.module


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_the_rooms_below_it(room: str) -> None:
    for file in (ROOT / "prefetch" / room).glob("*.py"):
        for module in imports_of(file):
            other = module.split(".")[1]
            assert other == room.split("/")[0] or other in ROOMS[room], f"{file.name} imports {module}"
            assert module in SEAMS.get((room, other), {module}), f"{file.name} imports {module}"


def test_nothing_of_the_machine_it_was_written_on() -> None:
    hosts = ("py" + "pi.org", "python" + "hosted", "deb." + "debian.org", "/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/")
    kept = {".py", ".md", ".toml", ".txt", ".yaml", ".json", ".svg", ".c", ".sh", ""}
    hidden = {"volume", "build", "dist", "__pycache__"}
    for file in ROOT.rglob("*"):
        parts = file.relative_to(ROOT).parts
        if (
            not file.is_file()
            or file.suffix not in kept
            or hidden & set(parts)
            or parts[0].startswith((".venv", ".git"))
        ):
            continue
        if parts[0].startswith(".") and parts[0] != ".ci":
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        assert not [host for host in hosts if host in text], file
