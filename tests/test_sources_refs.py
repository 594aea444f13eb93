from __future__ import annotations

import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.net.urls import SecretURL
from prefetch.sources.refs.file import FileRef
from prefetch.sources.refs.http import HttpRef
from prefetch.sources.refs.hub import HuggingFaceRef, RepoKind
from prefetch.sources.refs.source import SourceRef, parse_source

HUB = HuggingFaceRef


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://o/r/f.bin", HUB("o/r", "f.bin")),
        ("hf://o/r@main/d/f.bin", HUB("o/r", "d/f.bin")),
        ("hf://o/r@refs%2Fpr%2F1/f", HUB("o/r", "f", "refs/pr/1")),
        ("hf://o/r/a@b/f", HUB("o/r", "a@b/f")),
        ("hf://datasets/o/r@v1/d/f", HUB("o/r", "d/f", "v1", "dataset")),
        ("hf://spaces/o/r/f", HUB("o/r", "f", "main", "space")),
        ("https://huggingface.co/o/r/resolve/main/d/f.gguf?download=true", HUB("o/r", "d/f.gguf")),
        ("https://huggingface.co/o/r/blob/v2/f%20g.gguf", HUB("o/r", "f g.gguf", "v2")),
        ("https://hf.co/datasets/o/r/resolve/refs%2Fpr%2F1/f", HUB("o/r", "f", "refs/pr/1", "dataset")),
        ("https://example.org/a%2Fb.bin?x=%2F+", HttpRef(SecretURL("https://example.org/a%2Fb.bin?x=%2F+"))),
        ("http://127.0.0.1:8080/f", HttpRef(SecretURL("http://127.0.0.1:8080/f"))),
        ("file:///models/a%20b.bin", FileRef("/models/a b.bin")),
    ],
)
def test_what_a_source_means(text: str, expected: SourceRef) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hf://o/r", "names no file"),
        ("hf://o", "names no file"),
        ("hf:o/r/f", "hf://[datasets/|spaces/]owner/repo"),
        ("hf://o/r/d/", "directory"),
        ("hf://o/r@/f", "empty revision"),
        ("hf://o/../r/f", "owner/name"),
        ("hf://o/r/../f", "'..'"),
        ("hf://o/r/a//f", "empty"),
        ("hf://o/r/a\nb", "control character"),
        ("https://huggingface.co/o/r/tree/main/d", "/resolve/"),
        ("https://huggingface.co/o/r", "/resolve/"),
        ("https://huggingface.co/o/r/resolve/main/a%2F..%2Fb", "'..'"),
        ("https://huggingface.co/o/r/resolve/main/a%00b", "control character"),
        ("https://example.org/", "directory"),
        ("https://example.org:port/f", "write https://host/path/to/file"),
        ("https:///f", "plain host name"),
        ("file://host/f", "file:///absolute/path"),
        ("file:relative", "file:///absolute/path"),
        ("file:///d/", "directory"),
        ("file:///a?b", "%3F"),
        ("civitai:v1", "is not a Civitai source"),
        ("hff://o/r/f", "did you mean hf://?"),
        ("htps://h/f", "did you mean https://?"),
        ("C:\\models\\a.pth", "is a path on Windows; a file on this machine is file:///absolute/path"),
        ("s3://b/k", "known are hf://, https://, http://, file://"),
        ("o/r/f.bin", "has no scheme"),
        ("", "has no scheme"),
    ],
)
def test_what_is_refused_and_what_it_says(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\.|\?") as caught:
        parse_source(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2secret@example.org/f",
        "https://hunter2secret@huggingface.co/o/r/resolve/main/f",
        "https://example.org/f?token=hunter2secret",
        "https://example.org/f?a=b&API_KEY=hunter2secret",
        "ftp://user:hunter2secret@example.org/f?token=hunter2secret",
        "hf://o/r@hf_hunter2secret",
    ],
)
def test_a_credential_in_a_source_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.|\?") as caught:
        parse_source(text)
    assert "hunter2secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("http://example.org/f", True),
        ("http://10.0.0.1/f", True),
        ("http://localhost/f", False),
        ("http://[::1]:80/f", False),
        ("https://example.org/f", False),
        ("hf://o/r/f", False),
        ("file:///f", False),
    ],
)
def test_plain_http_needs_a_hash(text: str, needs: bool) -> None:
    assert parse_source(text).needs_sha256 is needs


names = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
segments = st.text(min_size=1, max_size=12).filter(
    lambda s: s not in (".", "..") and "/" not in s and s.isprintable() and not any("\ud800" <= c < "\ue000" for c in s)
)
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)


@given(names, names, paths, paths, st.sampled_from(["model", "dataset", "space"]))
def test_a_hub_reference_survives_the_round_trip(owner: str, repo: str, rev: str, path: str, kind: RepoKind) -> None:
    ref = HuggingFaceRef(f"{owner}/{repo}", path, rev, kind)
    if owner not in ("datasets", "spaces"):
        assert parse_source(str(ref)) == ref


@given(paths)
def test_a_file_reference_survives_the_round_trip(path: str) -> None:
    ref = FileRef("/" + path)
    assert parse_source(str(ref)) == ref


@given(st.text(max_size=60) | st.from_regex(r"(hf|https?|file):(//)?[ -~]{0,40}", fullmatch=True))
def test_any_text_is_a_reference_or_a_sentence(text: str) -> None:
    try:
        ref = parse_source(text)
    except ValueError as error:
        assert str(error).endswith((".", "?"))
    else:
        assert parse_source(str(ref)) == ref


def test_reading_a_manifest_does_not_load_the_http_client() -> None:
    code = "import sys, prefetch.sources.refs.folder; print({'aiohttp', 'yarl', 'huggingface_hub'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"
