"""The torture can fail: its checker finds what is wrong, and its judge a finished block that is asked for again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.content import BytesFile
from prefetch.demo.server import DemoServer
from tests.support.models import BLOCK, Wanted, wanted
from tests.support.origins import ask
from tests.torture.arenas import Arena, Host
from tests.torture.battle import Battle, Tally, asked
from tests.torture.checker import missing_from, sha256sum_of, wrong_files

MODELS = wanted(2 * BLOCK + 1, 50_000)


def test_the_checker_finds_what_is_wrong_and_what_is_missing(tmp_path: Path) -> None:
    expected = {"models/a": sha256sum_of(b"a"), "models/b": sha256sum_of(b"b")}
    for name, data in {"models/a": b"a", "models/b": b"torn", "models/stranger": b"", ".prefetch/x": b""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert [found.split()[0] for found in wrong_files(tmp_path, expected)] == ["models/b", "models/stranger"]
    assert missing_from(tmp_path, expected | {"models/c": ""}) == ["models/c"]
    assert sha256sum_of(b"") == BytesFile(b"").sha256


@pytest.mark.parametrize(
    ("span", "blocks"),
    [((0, 1), {0}), ((BLOCK - 1, BLOCK + 1), {0, 1}), ((2 * BLOCK, 2 * BLOCK + 1), {2}), (None, {0, 1, 2})],
)
def test_a_request_asks_for_the_blocks_it_touches(origin: DemoServer, span: Any, blocks: set[int]) -> None:
    model = MODELS[0]
    ask(origin.signed_link(f"acme/models/{model.name}", model.content), span=span)
    assert asked(origin.requests, model) == blocks
    assert asked(origin.requests, MODELS[1]) == set()


def test_a_battle_of_writers_that_nobody_kills(origin: DemoServer, tmp_path: Path) -> None:
    tally = fought(origin, MODELS, tmp_path)
    assert tally.failures == []
    assert (tally.volumes, tally.kills, tally.wanted) == (1, 0, sum(model.content.size for model in MODELS))


def test_a_battle_whose_origin_has_another_file_fails(origin: DemoServer, tmp_path: Path) -> None:
    other = Wanted(MODELS[1].name, BytesFile(b"other bytes"))
    assert any(other.path in failure for failure in fought(origin, [MODELS[0], other], tmp_path).failures)


def fought(origin: DemoServer, models: list[Wanted], folder: Path) -> Tally:
    tally, host = Tally(), Host("", folder)
    expected = {model.path: sha256sum_of(model.content.read(0, model.content.size)) for model in models}
    battle = Battle(
        Arena("a folder", (host, host)),
        "volume",
        origin,
        models,
        expected=expected,
        work=folder,
        chance=random.Random(1),
        tally=tally,
    )
    battle.fight(kills=0, until=0.0)
    return tally
