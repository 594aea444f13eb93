"""The Hub stand-in speaks the Hub's protocol: its own client downloads from it and understands its refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub as hf
import pytest
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import default_client_factory

from prefetch.demo.actions import Cut, Status
from prefetch.demo.content import BytesFile, SyntheticFile
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from tests.support.origins import ask

TOKEN, STRANGER = "hf_reader", "hf_stranger"
VAE = SyntheticFile("vae ü.safetensors", 2_000_000, "safetensors", 1)
UNET = SyntheticFile("unet.gguf", 3_000_000, "gguf", 2)
CONFIG = BytesFile(b'{"model_type": "demo"}')
OTHER = SyntheticFile("unet.gguf", 1_000_000, "gguf", 3)
REPOS = [
    Repo(
        id="acme/wan",
        files={"config.json": CONFIG, "split files/vae/vae ü.safetensors": VAE, "unet.gguf": UNET},
        revisions={"experimental": {"unet.gguf": OTHER}, "refs/pr/1": {"notes.txt": BytesFile(b"from a pull request")}},
        formerly=("acme/wan-old",),
    ),
    Repo(id="acme/gated", files={"m.safetensors": VAE}, gated=True, readers=frozenset({TOKEN})),
    Repo(id="acme/private", files={"m.safetensors": VAE}, private=True, readers=frozenset({TOKEN})),
    Repo(id="acme/disabled", files={"m.safetensors": VAE}, disabled=True),
    Repo(id="acme/data", kind="dataset", files={"d.bin": OTHER}),
]


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    # Another test may have run the program in this process, whose client sends tokens to its own origin only.
    hf.set_client_factory(default_client_factory)
    with running_origin(repos=REPOS, tokens={TOKEN: "reader", STRANGER: "stranger"}, page_size=2) as running:
        yield running
    hf.close_session()


@dataclass(frozen=True, slots=True)
class HfDownload:
    """The ``hf download`` command with a home of its own."""

    home: Path
    endpoint: str

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("hf")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        command = [str(program), "download", *arguments, "--local-dir", str(self.home / "out")]
        return subprocess.run(command, env=environment | env, capture_output=True, text=True, timeout=60)

    def read(self, path: str) -> bytes:
        """A downloaded file."""
        return (self.home / "out" / path).read_bytes()


@pytest.fixture
def hf_download(tmp_path: Path, origin: DemoServer) -> HfDownload:
    return HfDownload(tmp_path, origin.endpoint)


def test_hf_download_fetches_a_whole_repository(hf_download: HfDownload) -> None:
    done = hf_download("acme/wan")
    assert done.returncode == 0, done.stderr
    for path, content in REPOS[0].files.items():
        assert hf_download.read(path) == content.read(0, content.size)


def test_hf_download_fetches_one_file_of_a_renamed_repository_with_xet_enabled(hf_download: HfDownload) -> None:
    done = hf_download("acme/wan-old", "unet.gguf", HF_HUB_DISABLE_XET="0")
    assert done.returncode == 0, done.stderr
    assert hf_download.read("unet.gguf") == UNET.read(0, UNET.size)


@pytest.mark.parametrize(
    ("revision", "path", "content"),
    [("experimental", "unet.gguf", OTHER), ("refs/pr/1", "notes.txt", BytesFile(b"from a pull request"))],
)
def test_hf_download_fetches_a_revision(
    hf_download: HfDownload, revision: str, path: str, content: BytesFile | SyntheticFile
) -> None:
    done = hf_download("acme/wan", path, "--revision", revision)
    assert done.returncode == 0, done.stderr
    assert hf_download.read(path) == content.read(0, content.size)


def test_hf_download_fetches_a_gated_file_and_keeps_the_token_from_the_cdn(
    hf_download: HfDownload, origin: DemoServer
) -> None:
    before = len(origin.requests)
    refused = hf_download("acme/gated", "m.safetensors")
    done = hf_download("acme/gated", "m.safetensors", HF_TOKEN=TOKEN)
    assert (refused.returncode, done.returncode) == (1, 0), refused.stderr + done.stderr
    assert "gated" in refused.stderr.lower()
    assert hf_download.read("m.safetensors") == VAE.read(0, VAE.size)
    asked = [entry for entry in origin.requests[before:] if entry.file]
    assert {(entry.server, entry.authorized) for entry in asked if entry.status < 400} == {
        ("hub", True),
        ("cdn", False),
    }


def test_hf_download_gets_past_a_cut(hf_download: HfDownload, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Cut(1_000_000), server="cdn"))
    done = hf_download("acme/wan", "unet.gguf")
    assert done.returncode == 0, done.stderr
    assert hf_download.read("unet.gguf") == UNET.read(0, UNET.size)
    assert [(entry.faults, entry.sent) for entry in origin.requests[-2:]] == [(("Cut",), 1_000_000), ((), UNET.size)]


Call = Callable[[hf.HfApi], object]


def _head(repo: str, path: str, revision: str = "main") -> Call:
    return lambda api: hf.get_hf_file_metadata(
        hf.hf_hub_url(repo, path, revision=revision, endpoint=api.endpoint), token=api.token, endpoint=api.endpoint
    )


def _info(repo: str, revision: str = "main") -> Call:
    return lambda api: api.model_info(repo, revision=revision)


@pytest.mark.parametrize(
    ("token", "call", "error", "status"),
    [
        (None, _info("acme/missing"), RepositoryNotFoundError, 401),
        (TOKEN, _info("acme/missing"), RepositoryNotFoundError, 404),
        (None, _head("acme/missing", "x"), RepositoryNotFoundError, 401),
        (None, _head("acme/private", "m.safetensors"), RepositoryNotFoundError, 401),
        (STRANGER, _head("acme/private", "m.safetensors"), RepositoryNotFoundError, 404),
        (None, _head("acme/gated", "m.safetensors"), GatedRepoError, 401),
        (STRANGER, _head("acme/gated", "m.safetensors"), GatedRepoError, 403),
        (None, _head("acme/disabled", "m.safetensors"), DisabledRepoError, 403),
        (None, _head("acme/wan", "nothing.gguf"), RemoteEntryNotFoundError, 404),
        (None, _head("acme/wan", "unet.gguf", "nowhere"), RevisionNotFoundError, 404),
        (None, _info("acme/wan", "nowhere"), RevisionNotFoundError, 404),
        ("hf_wrong", _info("acme/wan"), HfHubHTTPError, 401),
        ("hf_wrong", _head("acme/wan", "unet.gguf"), HfHubHTTPError, 401),
        ("hf_wrong", lambda api: api.whoami(), HfHubHTTPError, 401),
    ],
)
def test_refusals_are_the_errors_the_client_knows(
    origin: DemoServer, token: str | None, call: Call, error: type[HfHubHTTPError], status: int
) -> None:
    with pytest.raises(error) as raised:
        call(hf.HfApi(endpoint=origin.endpoint, token=token or False))
    assert (type(raised.value), raised.value.response.status_code) == (error, status)


def test_wrong_tokens_are_named(origin: DemoServer) -> None:
    answer = ask(f"{origin.endpoint}/acme/wan/resolve/main/unet.gguf", Authorization="Bearer hf_wrong")
    assert answer.headers["X-Error-Message"] == "Invalid credentials in Authorization header"


def test_the_api_tells_hashes_and_sizes(origin: DemoServer) -> None:
    api = hf.HfApi(endpoint=origin.endpoint, token=TOKEN)
    info = api.model_info("acme/wan", files_metadata=True)
    siblings = {each.rfilename: each for each in info.siblings or []}
    lfs = siblings["unet.gguf"].lfs
    assert lfs is not None
    assert (lfs.sha256, lfs.size, siblings["config.json"].blob_id) == (UNET.sha256, UNET.size, CONFIG.git_sha1)
    assert info.sha == api.model_info("acme/wan-old").sha != api.model_info("acme/wan", revision="experimental").sha
    assert api.whoami()["name"] == "reader"
    assert api.dataset_info("acme/data").sha
    files = {each.path: each for each in api.get_paths_info("acme/wan", ["split files", "unet.gguf", "nothing"])}
    assert (sorted(files), getattr(files["unet.gguf"], "blob_id", None)) == (
        ["split files", "unet.gguf"],
        lfs_oid(UNET),
    )


def lfs_oid(content: SyntheticFile) -> str:
    """The git hash of a content's LFS pointer."""
    return BytesFile(content.lfs_pointer.encode()).git_sha1


@pytest.mark.parametrize(
    ("folder", "recursive", "expected"),
    [
        (None, False, ["config.json", "split files", "unet.gguf"]),
        ("split files", False, ["split files/vae"]),
        ("split files/vae", False, ["split files/vae/vae ü.safetensors"]),
        (
            None,
            True,
            ["config.json", "split files", "split files/vae", "split files/vae/vae ü.safetensors", "unet.gguf"],
        ),
    ],
)
def test_the_tree_is_listed_in_pages(
    origin: DemoServer, folder: str | None, recursive: bool, expected: list[str]
) -> None:
    api = hf.HfApi(endpoint=origin.endpoint, token=False)
    listed = list(api.list_repo_tree("acme/wan", folder, recursive=recursive, expand=True))
    assert [each.path for each in listed] == expected
    assert all(each.last_commit for each in listed)


def test_resolve_tells_everything_on_the_redirect(origin: DemoServer) -> None:
    answer = ask(f"{origin.endpoint}/acme/wan/resolve/main/unet.gguf", method="HEAD")
    assert answer.status == 302
    assert answer.headers["X-Linked-Etag"] == f'"{UNET.sha256}"'
    assert answer.headers["X-Linked-Size"] == str(UNET.size) != answer.headers["Content-Length"]
    assert answer.headers["ETag"] == f'"{lfs_oid(UNET)}"'
    assert len(answer.headers["X-Repo-Commit"]) == 40
    assert answer.headers["X-Xet-Hash"] is None
    assert urlsplit(answer.headers["Location"]).hostname == "localhost" != urlsplit(origin.endpoint).hostname
    pinned = f"{origin.endpoint}/acme/wan/resolve/{answer.headers['X-Repo-Commit']}/unet.gguf"
    assert ask(pinned).headers["X-Linked-Etag"] == answer.headers["X-Linked-Etag"]


def test_small_files_come_from_the_hub_itself(origin: DemoServer) -> None:
    answer = ask(f"{origin.endpoint}/acme/wan/resolve/main/config.json")
    assert (answer.status, answer.body) == (200, CONFIG.read(0, CONFIG.size))
    assert answer.headers["ETag"] == f'"{CONFIG.git_sha1}"'


def test_a_moved_branch_leaves_the_old_commit_readable() -> None:
    with running_origin() as origin:
        old = origin.put(Repo(id="a/b", files={"m.gguf": UNET}))["main"]
        new = origin.put(Repo(id="a/b", files={"m.gguf": OTHER}))["main"]
        hashes = [_linked_etag(origin, revision) for revision in (old, new, "main")]
    assert hashes == [UNET.sha256, OTHER.sha256, OTHER.sha256]


def _linked_etag(origin: DemoServer, revision: str) -> str:
    return str(ask(f"{origin.endpoint}/a/b/resolve/{revision}/m.gguf").headers["X-Linked-Etag"]).strip('"')


def test_faults_reach_the_hub_too(origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Status(503), server="hub", method="HEAD", path="*/config.json"))
    url = f"{origin.endpoint}/acme/wan/resolve/main/config.json"
    assert [ask(url, method="HEAD").status for _ in range(2)] == [503, 200]
