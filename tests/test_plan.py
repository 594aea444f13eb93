"""What is fetched and what is linked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from prefetch.plan import make_plan

A, B = "a" * 64, "b" * 64


@dataclass(frozen=True)
class Absent:
    path: str
    sha256: str | None
    size: int | None = 1
    standing: Any = None


@pytest.mark.parametrize(
    ("absent", "here", "fetched", "linked"),
    [
        pytest.param([("x", A), ("y", B)], {}, ["x", "y"], [], id="each-content"),
        pytest.param([("x", A), ("y", A)], {}, ["x"], ["x"], id="one-content-at-two-paths"),
        pytest.param([("x", A)], {A: "z"}, [], ["z"], id="content-that-is-here"),
        pytest.param([("x", A)], {A: "x"}, ["x"], [], id="placed-meanwhile-at-its-own-path"),
        pytest.param([("x", None), ("y", None)], {}, ["x", "y"], [], id="unknown-hashes"),
    ],
)
def test_each_content_is_fetched_once(
    absent: list[tuple[str, str | None]], here: dict[str, str], fetched: list[str], linked: list[str]
) -> None:
    plan = make_plan([Absent(*each) for each in absent], here=here, resumed={})
    assert [model.path for model in plan.fetch] == fetched
    assert [link.same_as for link in plan.link] == linked
