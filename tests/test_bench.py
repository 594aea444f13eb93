"""The benchmark's own parts: what is measured, what the figures say, what the page keeps, what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.goals import PEAK, Goal, at_least, at_most, beside_best_peer, cpu_beside, times
from tests.bench.page import Page
from tests.bench.report import Section
from tests.bench.rounds import Contestant, Turn, play, ratio, rows
from tests.bench.scratch import scratch
from tests.bench.usage import Usage, run_measured, started_alone
from tests.bench.workloads import WORKLOADS
from tests.bench.yardsticks import Piece, shares

MEGABYTE = 1_000_000

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
HUNGRY = """
import time
held = bytearray(50_000_000)
while time.process_time() < 0.4:
    pass
"""
HOLD_SCRATCH = """
import sys, time
from pathlib import Path
from tests.bench.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def turn(**seconds: float) -> Turn:
    return {name: Usage(value, value, int(value * MEGABYTE)) for name, value in seconds.items()}


def section(key: str, turns: list[Turn]) -> Section:
    return Section(WORKLOADS[key], turns, "make bench", ["prefetch 1.2.3"])


def test_a_process_tree_is_measured_whole(tmp_path: Path) -> None:
    usage = run_measured([sys.executable, "-c", PARENT, HUNGRY], env={}, output=tmp_path / "log")
    assert usage.seconds >= 0.3
    assert usage.cpu_seconds >= 0.3
    assert usage.peak_bytes > 50_000_000


def test_a_command_that_fails_says_how(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="sh ended with 3: no such thing"):
        run_measured(["sh", "-c", "echo no such thing; exit 3"], env={}, output=tmp_path / "log")


def test_nothing_that_was_started_outlives_its_block(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started_alone(["sh", "-c", "sleep 60 & echo $!; wait"], env=dict(os.environ), output=log):
        while not log.read_text():
            time.sleep(0.01)
    child = Path(f"/proc/{int(log.read_text())}/stat")
    deadline = time.monotonic() + 5
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline


def test_what_a_killed_benchmark_left_is_removed_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_SCRATCH, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        with scratch(tmp_path):
            assert folder.exists(), "its owner lives"
        process.send_signal(signal.SIGKILL)
    with scratch(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


def test_rounds_alternate_and_the_first_is_thrown_away(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def taker(name: str) -> Contestant:
        def take_turn() -> Usage:
            order.append(name)
            return Usage(1, 1, 1)

        return Contestant(name, take_turn)

    assert len(play([taker("a"), taker("b")], rounds=2)) == 2
    assert "".join(order) == "abbaab"
    assert capsys.readouterr().out.startswith("warm-up: a 1.00 s, b 1.00 s,\nround 1: b")


def test_ratios_are_taken_within_a_round() -> None:
    turns = [turn(us=1.0, them=2.0), turn(us=1.1, them=1.1), turn(us=1.05, them=3.15)]
    fastest, other = rows(turns, ours="us")
    assert (fastest.name, fastest.seconds, fastest.ratios) == ("us", 1.05, (1.0, 1.0, 1.0))
    assert other.ratios == pytest.approx((2.0, 1.0, 3.0))
    assert ratio(turns, "them", "us") == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("turns", "verdict"),
    [
        ([turn(us=1.0, them=2.0), turn(us=1.0, them=2.1)], "ok"),
        ([turn(us=1.0, them=1.05), turn(us=1.0, them=0.95)], "no difference shown"),
        ([turn(us=1.0, them=2.0), turn(us=1.0, them=3.0)], "worthless: spread 40%"),
    ],
)
def test_noise_is_named(turns: list[Turn], verdict: str) -> None:
    assert {row.name: row.verdict for row in rows(turns, ours="us")}["them"] == verdict


@pytest.mark.parametrize(
    ("goal", "figure", "verdict"),
    [
        (at_most("", times("the limit"), 1.1), "1.25", "not reached"),
        (at_most("", times("the limit"), 1.25), "1.25", "reached"),
        (at_least("", beside_best_peer, 2.0), "2.00", "reached"),
        (at_least("", beside_best_peer, 2.1), "2.00", "not reached"),
        (at_most("", cpu_beside("aria2c"), 1.0, form="{:.0%}"), "50%", "reached"),
        (at_most("", times("wget"), 1.0), "", "not measured"),
        (PEAK, "1 MB", "reached"),
    ],
)
def test_goals_are_held_against_the_rounds(goal: Goal, figure: str, verdict: str) -> None:
    turns = [
        {"prefetch": Usage(1, 1, MEGABYTE)} | turn(**{"the limit": 0.8, "dd alone": 0.5, "aria2c": 2, "hf download": 3})
    ]
    found = goal.finding(turns)
    assert (found.figure, found.verdict) == (figure, verdict)


def test_a_goal_says_when_noise_makes_it_worthless() -> None:
    noisy = at_most("", times("aria2c"), 1.0).finding([turn(prefetch=1.0, aria2c=2.0), turn(prefetch=1.5, aria2c=2.0)])
    assert noisy.verdict == "reached, but the spread of prefetch makes it worthless"


@pytest.mark.parametrize(
    ("sizes", "parts", "expected"),
    [
        ({"a": 10}, 2, [[("a", 0, 5)], [("a", 5, 10)]]),
        ({"a": 1, "b": 5}, 2, [[("a", 0, 1), ("b", 0, 2)], [("b", 2, 5)]]),
        ({"a": 0, "b": 2}, 1, [[("b", 0, 2)]]),
        ({"a": 1, "b": 1, "c": 1}, 1, [[("a", 0, 1), ("b", 0, 1), ("c", 0, 1)]]),
    ],
)
def test_shares_are_equal_and_whole(sizes: dict[str, int], parts: int, expected: list[list[Piece]]) -> None:
    assert shares(sizes, parts) == expected


def test_a_section_compares_with_limit_dd_and_the_best_peer() -> None:
    turns = [turn(**{"prefetch": 11.0, "the limit": 10.0, "dd alone": 8.0, "aria2c": 33.0, "wget": 44.0})]
    head, _, *lines = section("a", turns).table().splitlines()
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:7]] for line in lines}
    assert [name.strip() for name in head.split("|")[4:8]] == ["x prefetch", "x limit", "x dd", "x best peer"]
    assert cells["prefetch"] == ["11.00", "169", "1.00 (1.00-1.00)", "1.10", "1.38"]
    assert cells["aria2c"] == ["33.00", "56", "3.00 (3.00-3.00)", "3.30", "4.12"]
    assert "aria2c, takes 3.00 times as long as prefetch (ok)" in section("a", turns).text()


def test_a_section_without_yardsticks_or_peers_has_no_such_columns() -> None:
    head = section("a", [turn(prefetch=1.0)]).table().splitlines()[0]
    assert "limit" not in head
    assert "best peer" not in head


def test_the_page_keeps_what_was_not_measured_again() -> None:
    first = Page().with_section(section("b", [turn(prefetch=1.0, aria2c=2.0)]))
    old = first.text(list(WORKLOADS)).replace("prefetch 1.2.3", "prefetch 1.2.2")
    new = Page.parse(old).with_section(section("a", [turn(prefetch=3.0, aria2c=9.0)]))
    text = new.text(list(WORKLOADS))
    assert text.index("## (a) ") < text.index("## (b) ")
    assert text.count("prefetch 1.2.2") == 1
    assert text.count("prefetch 1.2.3") == 1
    assert "| b        | at least 1.2 times as fast as the best peer" in text
    again = Page.parse(text).with_section(section("b", [turn(prefetch=1.0, aria2c=1.1)])).text(list(WORKLOADS))
    assert "prefetch 1.2.2" not in again
    assert again.count("at least 1.2 times as fast as the best peer") == 1
    assert Page.parse(again).text(list(WORKLOADS)) == again


def test_a_page_of_another_form_is_begun_anew() -> None:
    assert Page.parse("# Something\n\n## Some workload\n\ntext\n") == Page()
