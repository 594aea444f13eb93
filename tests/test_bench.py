"""The benchmark's own parts: the pace is held, every peer's command line works, the figures say what they should."""

from __future__ import annotations

import ssl
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from tests.bench.nginx import Nginx, nginx_serving
from tests.bench.origin import origin_for
from tests.bench.peers import PEERS, Job
from tests.bench.report import Section, page
from tests.bench.rounds import Turn, fetch_verified, rows
from tests.bench.seedset import SEEDS, make_seed_set
from tests.bench.usage import Usage, run_measured

MEGABYTE = 1_000_000

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
HUNGRY = """
import time
held = bytearray(50_000_000)
while time.process_time() < 0.4:
    pass
"""


def turn(**seconds: float) -> Turn:
    return {name: Usage(value, value, int(value * MEGABYTE)) for name, value in seconds.items()}


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """The set at 1:4000, some 9 MB, behind an origin that does not pace."""
    work, target = tmp_path / "work", tmp_path / "target"
    work.mkdir()
    target.mkdir()
    seeds = make_seed_set(tmp_path / "seeds", scale=4000)
    with origin_for(seeds, work=work, pace=0) as origin:
        yield Job(seeds, origin, target, work)


def download_seconds(nginx: Nginx, name: str) -> float:
    trust = ssl.create_default_context(cafile=nginx.authority)
    started = time.monotonic()
    with urllib.request.urlopen(f"{nginx.endpoint}/{name}", context=trust) as response:
        assert len(response.read()) == 6 * MEGABYTE
    return time.monotonic() - started


@pytest.mark.needs("nginx", "gcc")
def test_each_connection_is_paced(tmp_path: Path) -> None:
    folder, work = tmp_path / "folder", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    (folder / "file").write_bytes(bytes(6 * MEGABYTE))
    with nginx_serving(folder, work=work, pace=10 * MEGABYTE) as nginx:
        assert download_seconds(nginx, "file") > 0.45
    with nginx_serving(folder, work=work, pace=0) as nginx:
        assert download_seconds(nginx, "file") < 0.4


@pytest.mark.needs("nginx", "aria2c", "openssl")
@pytest.mark.parametrize("name", PEERS)
def test_every_peer_fetches_the_set(job: Job, name: str) -> None:
    usage = fetch_verified(PEERS[name], job)
    assert usage.seconds > 0
    assert usage.cpu_seconds > 0
    assert usage.peak_bytes > MEGABYTE


@pytest.mark.needs("nginx", "aria2c", "openssl")
def test_a_wrong_file_is_noticed(job: Job) -> None:
    path = job.seeds.folder / "models/vfi/rife/rife47.pth"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(RuntimeError, match="not what it should be"):
        fetch_verified(PEERS["aria2c"], job)


def test_the_set_has_the_seeds_names_and_scaled_sizes(tmp_path: Path) -> None:
    seeds = make_seed_set(tmp_path, scale=4000)
    assert {file.path: (tmp_path / file.path).stat().st_size for file in seeds.files} == {
        path: size // 4000 for path, size in SEEDS.items()
    }


def test_a_process_tree_is_measured_whole(tmp_path: Path) -> None:
    usage = run_measured([sys.executable, "-c", PARENT, HUNGRY], env={}, output=tmp_path / "log")
    assert usage.seconds >= 0.3
    assert usage.cpu_seconds >= 0.3
    assert usage.peak_bytes > 50_000_000


def test_a_command_that_fails_says_how(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="sh ended with 3: no such thing"):
        run_measured(["sh", "-c", "echo no such thing; exit 3"], env={}, output=tmp_path / "log")


def test_ratios_are_taken_within_a_round() -> None:
    fastest, other = rows([turn(us=1.0, them=2.0), turn(us=1.1, them=1.1), turn(us=1.05, them=3.15)], ours="us")
    assert (fastest.peer, fastest.seconds, fastest.ratios) == ("us", 1.05, (1.0, 1.0, 1.0))
    assert other.ratio == pytest.approx(2.0)
    assert other.ratios == pytest.approx((2.0, 1.0, 3.0))


@pytest.mark.parametrize(
    ("turns", "verdict"),
    [
        ([turn(us=1.0, them=2.0), turn(us=1.0, them=2.1)], "ok"),
        ([turn(us=1.0, them=1.05), turn(us=1.0, them=0.95)], "no difference shown"),
        ([turn(us=1.0, them=2.0), turn(us=1.0, them=3.0)], "worthless: spread 40%"),
    ],
)
def test_noise_is_named(turns: list[Turn], verdict: str) -> None:
    assert {row.peer: row.verdict for row in rows(turns, ours="us")}["them"] == verdict


@pytest.mark.needs("nginx", "aria2c", "openssl")
def test_the_page_tells_what_was_measured() -> None:
    turns = [turn(prefetch=1.0, aria2c=2.0), turn(prefetch=1.0, aria2c=2.2)]
    text = page([Section("Some workload", 100 * MEGABYTE, turns)], command="make bench")
    assert "with `make bench`" in text
    assert "| prefetch | 1.00    | 100  |" in text
    assert "aria2c, takes 2.10 times as long as prefetch (ok)" in text
    assert "- aria2c: aria2 version 1." in text
    assert f"- hf download: {huggingface_hub.__version__}\n" in text
