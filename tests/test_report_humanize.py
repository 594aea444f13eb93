from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.report import humanize


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "unknown size"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (253_815_318, "253.8 MB"),
        (999_949_999, "999.9 MB"),
        (999_950_000, "1.0 GB"),
        (15_406_608_896, "15.4 GB"),
        (2_300_000_000_000_000, "2.3 PB"),
        (10**22, "10000.0 EB"),
    ],
)
def test_size(number: int | None, text: str) -> None:
    assert humanize.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.6, "1m00s"),
        (93, "1m33s"),
        (3599.7, "1h00m"),
        (7500, "2h05m"),
        (86_399.9, "1d00h"),
        (270_000, "3d03h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert humanize.duration(seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(0, 100, "0.0%"), (218, 1000, "21.8%"), (999_999, 1_000_000, "99.9%"), (5, 5, "100%"), (0, 0, "100%")],
)
def test_percent_is_100_only_when_all_is_done(done: int, total: int, text: str) -> None:
    assert humanize.percent(done, total) == text


@pytest.mark.parametrize(
    ("left", "speed", "text"), [(0, 5.0, "-"), (1000, 10.0, "1m40s"), (1000, 0.0, "-"), (0, 0.0, "-")]
)
def test_eta(left: int, speed: float, text: str) -> None:
    assert humanize.eta(left, speed) == text


def test_rate_and_count() -> None:
    assert humanize.rate(312_000_000) == "312.0 MB/s"
    assert [humanize.count(number, "model") for number in (0, 1, 1000)] == ["0 models", "1 model", "1,000 models"]


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("abc.gguf", 8, "abc.gguf"),
        ("HighNoise-Q8_0.gguf", 9, "High…gguf"),
        ("abcdef", 5, "ab…ef"),
        ("abcdef", 3, "abc"),
    ],
)
def test_shorten_cuts_the_middle(text: str, width: int, short: str) -> None:
    assert humanize.shorten(text, width) == short


@given(st.text())
def test_printable_text_is_one_line_and_moves_nothing(text: str) -> None:
    assert humanize.printable(text).isprintable()


def test_printable_keeps_what_people_write() -> None:
    assert humanize.printable("Modèle 模型.gguf") == "Modèle 模型.gguf"
    assert humanize.printable("a\r\x1b[2Kb\u202ec\n") == "a\\r\\x1b[2Kb\\u202ec\\n"


@given(st.integers(min_value=0, max_value=10**21), st.text(max_size=300), st.integers(min_value=0, max_value=300))
def test_widths_are_kept(number: int, text: str, width: int) -> None:
    assert len(humanize.size(number)) <= 9
    assert len(humanize.shorten(text, width)) <= width


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("It is gated.", "FAILED models/a.pth: It is gated."),
        ("models/a.pth may run code.", "FAILED models/a.pth may run code."),
        ("models/a.pth: 3 bytes are missing.", "FAILED models/a.pth: 3 bytes are missing."),
        ("models/a.pth2 is another.", "FAILED models/a.pth: models/a.pth2 is another."),
    ],
)
def test_a_verdict_names_its_path_once(message: str, line: str) -> None:
    assert humanize.verdict("FAILED", "models/a.pth", message) == line
