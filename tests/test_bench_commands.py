"""The benchmark's other workloads: a download killed at half, nothing to do, verification, a plan."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.filesets import many, seeds
from tests.bench.link import Link
from tests.bench.resume import RESUMED, Resume, unread_bytes
from tests.bench.standing import MANY, OPENSSL, Idle, Planning, Verification
from tests.bench.volumes import Volume
from tests.bench.workloads import Measure

MEGABYTE = 1_000_000
SIZES = {"models/vae/a.safetensors": 100_000, "models/vae/b.safetensors": 50_000}


def folder_at(path: Path) -> Volume:
    @contextmanager
    def volume(size: int) -> Iterator[Path]:
        path.mkdir()
        yield path

    return volume


def test_what_the_kernel_holds_of_a_connection_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as accepted:
            assert unread_bytes(port, table=Path("/proc/net/tcp").read_text()) == 0
            accepted.sendall(bytes(10_000))
            client.recv(1000, socket.MSG_WAITALL)
            assert unread_bytes(port, table=Path("/proc/net/tcp").read_text()) == 9000


@pytest.mark.needs("nginx", "gcc", "moosefs", "openssl")
def test_a_download_is_killed_at_half_and_ended(tmp_path: Path) -> None:
    with Resume(sizes=seeds(500), link=Link(pace=5 * MEGABYTE)).contestants(tmp_path) as everybody:
        usage = {each.name: each for each in everybody}[RESUMED].turn()
    assert 0 <= usage.facts["fetched_again"] < sum(seeds(500).values()) / 2 + 16 * MEGABYTE


@pytest.mark.needs("nginx", "openssl")
@pytest.mark.parametrize("name", ["prefetch", MANY])
def test_nothing_to_do(tmp_path: Path, name: str) -> None:
    idle = Idle(few=SIZES, many=many(3, 10_000), volume=folder_at(tmp_path / "volume"))
    assert seconds_of(idle, tmp_path, name) > 0


@pytest.mark.needs("nginx", "openssl")
@pytest.mark.parametrize("name", ["prefetch", OPENSSL])
def test_verification(tmp_path: Path, name: str) -> None:
    assert seconds_of(Verification(sizes=SIZES, volume=folder_at(tmp_path / "volume")), tmp_path, name) > 0


@pytest.mark.needs("nginx", "openssl")
def test_verification_that_finds_a_wrong_file_does_not_count(tmp_path: Path) -> None:
    verification = Verification(sizes=SIZES, volume=folder_at(tmp_path / "volume"))
    with verification.contestants(tmp_path / "scratch") as everybody:
        next((tmp_path / "volume").rglob("a.safetensors")).write_bytes(bytes(100_000))
        with pytest.raises(RuntimeError):
            everybody[0].turn()


def test_a_plan_of_pinned_models_needs_no_host(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    assert seconds_of(Planning(entries=10, volume=folder_at(tmp_path / "volume")), tmp_path, "prefetch") > 0


def seconds_of(measure: Measure, folder: Path, name: str) -> float:
    with measure.contestants(folder / "scratch") as everybody:
        return {each.name: each for each in everybody}[name].turn().seconds
