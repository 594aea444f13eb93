"""The benchmark's downloads: links are as they say, every command line works, what is wrong is noticed."""

from __future__ import annotations

import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.accesslog import Response
from tests.bench.downloads import CONTENDERS, fetch_verified
from tests.bench.filesets import SEEDS, FileSet, seeds, write_files
from tests.bench.jobs import Job
from tests.bench.link import Link
from tests.bench.nginx import Nginx, nginx_serving
from tests.bench.origin import Origin, origin_for

MEGABYTE = 1_000_000
NEEDED = ("nginx", "aria2c", "curl", "wget", "openssl")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FileSet:
    """The set at 1:3000, some 12 MB; the two largest are of more than one block."""
    return write_files(tmp_path_factory.mktemp("files"), seeds(3000))


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, files: FileSet) -> Iterator[Origin]:
    """Serves the set, and does not pace."""
    with origin_for(files, work=tmp_path_factory.mktemp("origin"), link=Link()) as origin:
        yield origin


@pytest.fixture
def job(tmp_path: Path, files: FileSet, origin: Origin) -> Job:
    """The set onto a plain folder."""
    (tmp_path / "target").mkdir()
    (tmp_path / "work").mkdir()
    return Job(files, origin, tmp_path / "target", tmp_path / "work")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to serve, with 6 MB in a file and a byte in another; beside it is one for the server's own."""
    (tmp_path / "work").mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(bytes(6 * MEGABYTE))
    (folder / "byte").write_bytes(b"!")
    return folder


def seconds_for(nginx: Nginx, name: str) -> float:
    trust = ssl.create_default_context(cafile=nginx.authority)
    started = time.monotonic()
    with urllib.request.urlopen(f"{nginx.endpoint}/{name}", context=trust) as response:
        response.read()
    return time.monotonic() - started


def logged(nginx: Nginx) -> Response:
    """The one response in the log, which is there a moment after its last byte."""
    deadline = time.monotonic() + 5
    while not nginx.log.responses():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (response,) = nginx.log.responses()
    return response


@pytest.mark.needs("nginx", "gcc")
def test_each_connection_is_paced(folder: Path, tmp_path: Path) -> None:
    with nginx_serving(folder, work=tmp_path / "work", link=Link(pace=10 * MEGABYTE)) as nginx:
        assert seconds_for(nginx, "file") > 0.45
    with nginx_serving(folder, work=tmp_path / "work", link=Link()) as nginx:
        assert seconds_for(nginx, "file") < 0.4


@pytest.mark.needs("nginx", "gcc")
def test_every_tenth_connection_is_slowed(folder: Path, tmp_path: Path) -> None:
    with nginx_serving(folder, work=tmp_path / "work", link=Link(pace=100 * MEGABYTE, slowed=20)) as nginx:
        # The first was the one that waited for the start.
        seconds = [seconds_for(nginx, "file") for _ in range(2, 12)]
    assert seconds.index(max(seconds)) == 10 - 2
    assert max(seconds) > 0.6 > sorted(seconds)[-2]


@pytest.mark.needs("nginx")
def test_a_far_origin_takes_its_time_for_every_request(folder: Path, tmp_path: Path) -> None:
    with nginx_serving(folder, work=tmp_path / "work", link=Link(delay=0.2)) as nginx:
        assert min(seconds_for(nginx, "byte") for _ in range(2)) > 0.2


@pytest.mark.needs("nginx")
def test_the_log_tells_what_was_sent_since(folder: Path, tmp_path: Path) -> None:
    with nginx_serving(folder, work=tmp_path / "work", link=Link()) as nginx:
        seconds_for(nginx, "byte")
        assert logged(nginx).sent == 1
        nginx.log.forget()
        before = time.time()
        seconds_for(nginx, "file")
        response = logged(nginx)
    assert response.sent == 6 * MEGABYTE
    assert before - 0.01 <= response.asked <= response.ended <= time.time()


@pytest.mark.needs(*NEEDED)
@pytest.mark.parametrize("name", CONTENDERS)
def test_everybody_fetches_the_set(job: Job, name: str) -> None:
    usage = fetch_verified(CONTENDERS[name], job)
    assert usage.seconds > 0
    assert usage.cpu_seconds > 0
    if name == "prefetch":
        assert 0 <= usage.facts["hashed_after"] <= usage.facts["published_after"] < 5
        assert usage.facts["fetched_again"] == 0


@pytest.mark.needs(*NEEDED)
def test_a_wrong_file_is_noticed(tmp_path: Path) -> None:
    files = write_files(tmp_path / "files", {"models/vae/a.safetensors": 100_000})
    (files.folder / files.files[0].path).write_bytes(bytes(100_000))
    (tmp_path / "target").mkdir()
    with origin_for(files, work=tmp_path / "work", link=Link()) as origin:
        job = Job(files, origin, tmp_path / "target", tmp_path / "work")
        with pytest.raises(RuntimeError, match="not what it should be"):
            fetch_verified(CONTENDERS["aria2c"], job)


def test_the_set_has_the_seeds_names_and_scaled_sizes(files: FileSet) -> None:
    sizes = {file.path: (files.folder / file.path).stat().st_size for file in files.files}
    assert sizes == {path: size // 3000 for path, size in SEEDS.items()}


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^The files to serve take 1000000000000000000 bytes below .*"):
        write_files(tmp_path, {"models/a.bin": 10**18})
