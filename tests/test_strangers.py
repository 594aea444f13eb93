"""What others put below ``.prefetch``: it stops no command, is told in one warning, and goes by ``prune``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefetch.volume.identity import Identity
from prefetch.volume.journal import MOST, header_line
from prefetch.volume.owner import Owner
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, assert_whole, wanted
from tests.support.runs import Runs

MODELS = wanted(BLOCK + 5, *range(BLOCK + 6, BLOCK + 12), 50_000)
LARGE, *CLAIMED, SMALL = MODELS
ANOTHER = "ab" * 32


Put = Callable[[Path], object]


def text(content: str | bytes) -> Put:
    return lambda place: place.write_bytes(content.encode() if isinstance(content, str) else content)


def sparse(size: int) -> Put:
    def put(place: Path) -> None:
        place.touch()
        os.truncate(place, size)

    return put


def document(**content: Any) -> Put:
    return text(json.dumps(content))


def journal(**changes: Any) -> Put:
    """One that is whole but for these changes to its header."""

    def put(place: Path) -> None:
        identity = Identity("models/x", 5, place.name.partition(".")[0], "https://host.test/x", None)
        place.write_text(json.dumps(json.loads(header_line(identity, Owner.current())) | changes) + "\n")

    return put


def folder(place: Path) -> None:
    place.mkdir()
    (place / "x").write_text("x")


def deep(place: Path) -> None:
    """Directories in one another, deeper than a stack or a path goes."""
    place.mkdir()
    number = os.open(place, os.O_RDONLY)
    for _ in range(2200):
        os.mkdir("d", dir_fd=number)
        below = os.open("d", os.O_RDONLY, dir_fd=number)
        os.close(number)
        number = below
    os.close(os.open("x", os.O_CREAT, dir_fd=number))
    os.close(number)


def link(place: Path) -> None:
    place.symlink_to("/etc/passwd")


MET: list[tuple[str, Put]] = [
    *(("partial/KEY.1.journal", journal(path=path)) for path in (".prefetch/x", "models/../../x", "/x", "a\x1b")),
    ("partial/KEY.1.journal", journal(size=2**60)),
    ("partial/KEY.1.journal", journal(sha256=ANOTHER)),
    ("partial/KEY.1.journal", text(b"\n" * (1 << 20))),
    ("partial/KEY.1.journal", text(b"x" * (1 << 17))),
    ("partial/KEY.1.journal", sparse(MOST + 1)),
    (f"partial/KEY.{'9' * 182}.journal", text("")),
    ("partial/KEY.1.journal", os.mkfifo),
    ("partial/KEY.1.journal", link),
    ("partial/KEY.1.journal", folder),
    ("partial/notes.txt", text("mine")),
    ("claims/KEY.999999999999999999", text("")),
    ("claims/KEY.7", os.mkfifo),
    ("claims/KEY.7", folder),
    ("claims/KEY.7", sparse(1 << 20)),
    ("claims/\x1b[2J", text("")),
    (os.fsdecode(b"claims/\xff"), text("")),
    ("tmp/folder", folder),
    ("tmp/deep", deep),
]
"""What a run meets: all that it reads of others. KEY is another one for each."""

UNREAD: list[tuple[str, Put]] = [
    ("inventory/HALF.json", document(path="models/x")),
    ("inventory/HALF.json", text(b'{"a":[' + b"{}," * 10_000 + b"{}]}")),
    ("inventory/HALF.json", sparse(2 << 20)),
    ("inventory/HALF.blocks", os.mkfifo),
    ("inventory/batch.000000000007.0123456789abcdef.json", document(records=[{"path": "/etc/passwd"}])),
    ("inventory/notes.txt", text("mine")),
    ("applied/KEY.json", document(version=2)),
    ("applied/KEY.json", os.mkfifo),
    ("followed/KEY.json", document(version=1, manifest="", wanted=["../x"], named=[])),
    ("history/1700000000000-00000000.json", document(version=1)),
    ("jobs/pod.json", document(version=1, pod="other", began_ms=0, ended_ms=None, then=None)),
    ("listings/KEY.json", document(version=1, commit="main", files=[])),
    ("rejected/KEY.json", document(version=1, url="", etag=None, size=1, expected="0" * 64, found="1")),
    ("scrub/round.json", document(version=1, began_ms=0, due_ms=0, path="/etc", block=0)),
]
"""What only those read who ask for it: no run looks at the records of all models."""


def put(volume: Path, strangers: list[tuple[str, Put]]) -> list[Path]:
    places = []
    for number, (path, make) in enumerate(strangers):
        key = f"{number:064x}"
        place = volume / ".prefetch" / path.replace("KEY", key).replace("HALF", key[32:])
        place.parent.mkdir(parents=True, exist_ok=True)
        make(place)
        places.append(place)
    return places


def warnings(outcome: Outcome) -> list[str]:
    assert outcome.returncode == 0, outcome.stderr
    assert not any(char in outcome.stderr for char in "\x1b\udcff")
    return [line for line in outcome.stderr.splitlines() if "cannot be prefetch's" in line]


def test_no_command_is_stopped_and_prune_removes_them(runs: Runs) -> None:
    assert runs.run().returncode == 0
    places = put(runs.volume, MET)
    expected = f"warning: {len(MET)} files in {runs.volume}/.prefetch cannot be prefetch's and are ignored: "
    told = warnings(runs.run("--refresh"))
    assert [line.startswith(expected) for line in told] == [True]
    status = warnings(runs.commands.run("status", "--volume", runs.volume))
    assert [line.startswith("warning: 12 files in") for line in status] == [True]
    places += put(runs.volume, UNREAD)
    listed = runs.do("prune")
    shown = {str(place.relative_to(runs.volume)).replace("\udcff", "\\udcff") for place in places}
    assert {name: model["status"] for name, model in listed.models.items()} == dict.fromkeys(shown, "removable")
    assert all(map(os.path.lexists, places))
    removed = runs.do("prune", "--yes")
    assert {name: model["status"] for name, model in removed.models.items()} == dict.fromkeys(shown, "removed")
    assert not any(map(os.path.lexists, places))
    assert warnings(runs.run("--refresh")) == []
    assert_whole(runs.volume, MODELS)


CLAIMS: list[tuple[int, Put]] = [
    (10**9 - 2, text("")),
    (10**9 - 1, text("")),
    (10**9 - 1, folder),
    (1, os.mkfifo),
    (7, folder),
    (7, sparse(1 << 20)),
]


def test_a_strangers_claim_is_waited_for_once(runs: Runs) -> None:
    """It may be one that was just made; after its life the model is taken over."""
    models = list(zip(CLAIMED, CLAIMS, strict=True))
    put(runs.volume, [(f"claims/{model.content.sha256}.{number}", make) for model, (number, make) in models])
    outcome = runs.of(*CLAIMED).run("--claim-ttl", "1")
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr.count("is taken over") == len(CLAIMED)
    assert_whole(runs.volume, CLAIMED)


def test_a_strangers_claim_is_not_waited_for_where_nobody_waits(runs: Runs) -> None:
    put(runs.volume, [(f"claims/{LARGE.content.sha256}.{10**9 - 1}", text(""))])
    outcome = runs.of(LARGE).run("--no-wait")
    assert outcome.returncode == 5, outcome.stderr


PIPES = {
    "plan m.yaml": "m.yaml: the manifest cannot be read: it is no regular file. ",
    "plan locked.yaml": "locked.lock.json: the lock cannot be read: it is no regular file. ",
    "plan including.yaml": 'there is no file "pipe" to include',
    "lock locked.yaml": "locked.lock.json: the lock cannot be read: it is no regular file. ",
    "workflow models m.yaml": "m.yaml cannot be read: it is no regular file. ",
    "workflow models --loaders m.yaml /dev/null": "m.yaml cannot be read: it is no regular file. ",
}
"""Commands with a pipe that nobody writes to in the place of a file, and what each of them says."""


@pytest.mark.parametrize("words", PIPES)
def test_no_command_waits_for_the_writer_of_a_pipe(commands: Commands, words: str) -> None:
    for name in ("m.yaml", "locked.lock.json", "pipe"):
        os.mkfifo(commands.home / name)
    (commands.home / "locked.yaml").write_text("version: 1\nmodels: []\n")
    (commands.home / "including.yaml").write_text("version: 1\ninclude: [pipe]\n")
    outcome = commands.run(*words.split(), cwd=commands.home)
    assert outcome.returncode == 2
    assert PIPES[words] in outcome.stderr


def test_a_secret_s_file_is_no_pipe(runs: Runs) -> None:
    pipe = runs.commands.home / "pipe"
    os.mkfifo(pipe)
    outcome = runs.run(env={"HF_TOKEN_FILE": str(pipe)})
    assert outcome.returncode == 2
    assert "The file that HF_TOKEN_FILE names cannot be read: it is no regular file. " in outcome.stderr


def test_nothing_of_another_version_is_removed(runs: Runs) -> None:
    assert runs.run().returncode == 0
    newer = put(runs.volume, [("applied/KEY.json", document(version=3)), ("partial/KEY.1.journal", journal(format=2))])
    assert runs.do("prune", "--yes").models == {}
    assert all(place.exists() for place in newer)
