"""What the program prints stays as it is until somebody means to change it.

After a change that is meant: ``python -m tests.support.golden``, and read the difference.
"""

from __future__ import annotations

import pytest

from tests.support.golden import FOLDER, captured

NAMES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def now() -> dict[str, str]:
    return captured()


def test_each_is_still_made(now: dict[str, str]) -> None:
    assert sorted(now) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_is_as_it_was(now: dict[str, str], name: str) -> None:
    assert now[name] == (FOLDER / name).read_text(encoding="utf-8")
