"""What the program prints, as files to compare with: what differs from run to run is taken out.

``python -m tests.support.golden`` writes them anew; the difference is then for a person to read.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prefetch.demo.server import running_origin
from tests.support.commands import Commands, Outcome
from tests.support.models import repo_of, wanted, write_manifest

__all__ = ["FOLDER", "captured"]

FOLDER = Path(__file__).parent.parent / "golden"

_MODELS = wanted(50_000, 40_000, 30_000)
_CHANGING: tuple[tuple[str, str], ...] = (
    (r"\b127\.0\.0\.1:\d+", "HOST"),
    (r"\b\d+(?:\.\d+)? (?:[kMG]?B)/s\b", "RATE"),
    (r"\b(?:in|for) \d+(?:\.\d+)?(?:m?s|m\d+s)\b", "in TIME"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| UTC)?", "MOMENT"),
    (r"\bfree: [^:]+:", "free: SIZE:"),
    (r"\bprocess \d+ on [\w.-]+", "process N on HOST"),
)
_NUMBERS = frozenset({"seconds", "ts", "pid", "host", "age", "speed", "when"})


def captured() -> dict[str, str]:
    """Every file's text by its name below `FOLDER`."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        return {**_helps(Commands(home)), **_scripted(Commands(home))}


def _helps(commands: Commands) -> dict[str, str]:
    overview = commands.run("--help").stdout
    listed = overview.partition("commands:")[2].partition("examples:")[0]
    names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", listed, re.MULTILINE)
    pages = {f"help/{name.replace(' ', '-')}.txt": commands.run(*name.split(), "--help").stdout for name in names}
    return {"help/overview.txt": overview, **pages}


def _scripted(commands: Commands) -> dict[str, str]:
    """A volume's life: planned, filled with a break in the middle, found full, verified, damaged, mended, pruned."""
    write_manifest(commands.home / "m.yaml", [model.entry() for model in _MODELS])
    write_manifest(commands.home / "less.yaml", [model.entry() for model in _MODELS[:2]])
    files: dict[str, str] = {}
    with running_origin(repos=[repo_of(_MODELS)]) as origin:
        env = {"HF_ENDPOINT": origin.endpoint}

        def keep(name: str, *words: str) -> None:
            both = commands.run(*words, "--volume", "volume", env=env)
            files[f"{name}.log"] = _settled(both.stderr + both.stdout, commands.home)
            again = commands.run(*words, "--volume", "volume", "--json", env=env)
            files[f"{name}.json"] = _document(again, commands.home)

        keep("plan", "plan", "m.yaml")
        first = commands.run(
            "run", "m.yaml", "--volume", "volume", "--connections", "1", "--textfile", "m.prom", env=env
        )
        files["run.log"] = _settled(first.stderr, commands.home)
        files["metrics.txt"] = _families((commands.home / "m.prom").read_text())
        keep("run-again", "run", "m.yaml")
        keep("verify", "verify", "m.yaml")
        keep("status", "status")
        damaged = commands.home / "volume" / _MODELS[0].path
        before = damaged.stat()
        with damaged.open("r+b") as file:
            file.write(b"damaged")
        os.utime(damaged, (before.st_atime, before.st_mtime))
        keep("verify-damaged", "verify", "m.yaml")
        keep("run-mends", "run", "m.yaml")
        keep("prune", "prune", "less.yaml")
        files["lock.json"] = _lock(commands, env)
    return files


def _lock(commands: Commands, env: Mapping[str, str]) -> str:
    assert commands.run("lock", "m.yaml", env=env).returncode == 0
    return (commands.home / "m.lock.json").read_text()


def _settled(text: str, home: Path) -> str:
    text = text.replace(str(home.resolve()), "HOME").replace(str(home), "HOME")
    for pattern, word in _CHANGING:
        text = re.sub(pattern, word, text)
    # Models come in any order, their lines too, and whether a failure is told once more at the end goes by that.
    lines = {line for line in text.splitlines() if not line.startswith("progress:")}
    return "".join(f"{line}\n" for line in sorted(lines))


def _document(outcome: Outcome, home: Path) -> str:
    return _settled_document(outcome.document, home) + "\n"


def _settled_document(document: Any, home: Path) -> str:
    def settle(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: settle(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [settle(inner) for inner in value]
        if key in _NUMBERS and isinstance(value, int | float | str):
            return f"<{type(value).__name__}>"
        return _settled(value, home).rstrip("\n") if isinstance(value, str) else value

    return json.dumps(settle(document), indent=1, ensure_ascii=False)


def _families(text: str) -> str:
    return "\n".join(sorted(line for line in text.splitlines() if line.startswith("# "))) + "\n"


def _write(files: Mapping[str, str], report: Callable[[str], object]) -> None:
    for name, text in files.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            report(f"written: {name}")
            path.write_text(text)
    for path in FOLDER.rglob("*"):
        if path.is_file() and str(path.relative_to(FOLDER)) not in files:
            report(f"no longer made: {path.relative_to(FOLDER)}")


if __name__ == "__main__":
    _write(captured(), lambda line: print(line, file=sys.stderr))
