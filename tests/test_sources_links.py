"""Every part of every link: it selects the file, is known to select nothing, or the link is refused."""

from __future__ import annotations

import string
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.net.urls import SecretURL, is_secret_name, without_tokens
from prefetch.sources.refs.civitai import TRAITS, CivitaiModelRef, CivitaiRef
from prefetch.sources.refs.folder import names_folder, parse_folder
from prefetch.sources.refs.http import HttpRef
from prefetch.sources.refs.hub import HuggingFaceRef, HuggingFolderRef
from prefetch.sources.refs.source import SourceRef, file_name, parse_listed_source, parse_source, parse_stored_source

HUB, FOLDER = HuggingFaceRef, HuggingFolderRef
SECRET = "hunter2secret"
MEANINGLESS = ("download", "not-for-all-audiences")
PAGE, DOWNLOAD = "https://civitai.com/models/9/some-title", "https://civitai.com/api/download/models/7"

# For each kind of link: its address, the parameters that select, and those that are known to select nothing.
KINDS = {
    "a file on the Hub": ("https://huggingface.co/o/r/resolve/main/d/f.bin", (), MEANINGLESS),
    "a page of the Hub": ("https://huggingface.co/datasets/o/r/blob/v1/f.bin", (), MEANINGLESS),
    "raw on the Hub": ("https://hf.co/o/r/raw/main/f.json", (), MEANINGLESS),
    "a directory on the Hub": ("https://huggingface.co/o/r/tree/main/d", (), MEANINGLESS),
    "a page of Civitai": (PAGE, ("modelVersionId",), ()),
    "a version's page": (f"{PAGE}?modelVersionId=7", ("fileId",), ()),
    "a download of Civitai": (DOWNLOAD, ("fileId", *TRAITS), ()),
    "civitai.red": (DOWNLOAD.replace(".com", ".red"), ("fileId", *TRAITS), ()),
}
names = st.text(string.ascii_letters + "-_", min_size=1, max_size=12) | st.sampled_from(
    ["fileId", "modelVersionId", *TRAITS, *MEANINGLESS, "id", "path", "name", "show_file_info", "revision", "v"]
)
values = st.text(string.ascii_letters + string.digits + " /+&=%", min_size=1, max_size=8) | st.just("12")


def understood(text: str) -> SourceRef | HuggingFolderRef | None:
    """What a link means; None where it is refused, by a sentence that shows nothing of its query."""
    try:
        return parse_folder(text) if names_folder(text) else parse_source(text)
    except ValueError as error:
        assert str(error).endswith("."), error
        return None


@pytest.mark.parametrize("kind", KINDS)
@given(name=names, value=values)
def test_a_parameter_selects_or_is_meaningless_or_is_refused(kind: str, name: str, value: str) -> None:
    address, selecting, meaningless = KINDS[kind]
    link = f"{address}{'&' if '?' in address else '?'}{urlencode({name: value})}"
    plain, found = understood(address), understood(link)
    assert plain is not None
    if name.lower() in [known.lower() for known in meaningless]:
        assert found == plain
    elif name.lower() in [known.lower() for known in selecting]:
        assert found != plain
    else:
        assert found is None


@given(st.dictionaries(st.sampled_from(TRAITS), values, max_size=5), st.none() | st.integers(1, 10**17))
def test_all_that_a_download_link_says_survives_the_round_trip(traits: dict[str, str], file: int | None) -> None:
    said = {**traits, **({} if file is None else {"fileId": str(file)})}
    ref = parse_source(f"{DOWNLOAD}?{urlencode(said)}")
    assert isinstance(ref, CivitaiRef)
    assert (ref.version, ref.file, dict(ref.traits)) == (7, file, traits)
    assert parse_source(str(ref)) == ref


@given(st.text(string.ascii_letters + string.digits + "/?=&+%~,;:@!$'()*[]._-", max_size=20))
def test_a_plain_address_is_sent_byte_for_byte(query: str) -> None:
    link = f"https://example.org/f?x={query}"
    ref = understood(link)
    assert ref is None or (isinstance(ref, HttpRef) and ref.url.reveal() == link)


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        (
            "https://huggingface.co/bert-base-uncased/resolve/main/model.safetensors",
            HUB("bert-base-uncased", "model.safetensors"),
        ),
        ("https://huggingface.co/gpt2/blob/v1/onnx/a.onnx", HUB("gpt2", "onnx/a.onnx", "v1")),
        ("https://huggingface.co/datasets/squad/resolve/main/a.json", HUB("squad", "a.json", "main", "dataset")),
        ("hf://bert-base-uncased/model.safetensors", HUB("bert-base-uncased", "model.safetensors")),
        ("hf://bert-base-uncased@v1/model.safetensors", HUB("bert-base-uncased", "model.safetensors", "v1")),
        ("hf://gpt2@main/onnx/LICENSE", HUB("gpt2", "onnx/LICENSE")),
        ("hf://datasets/squad/a.json", HUB("squad", "a.json", "main", "dataset")),
        ("hf://o/r.bin/f.bin", HUB("o/r.bin", "f.bin")),
        ("https://huggingface.co/bert-base-uncased/tree/main", FOLDER("bert-base-uncased", "")),
        ("https://huggingface.co/gpt2/tree/main/onnx/", FOLDER("gpt2", "onnx")),
        ("hf://bert-base-uncased@main/", FOLDER("bert-base-uncased", "")),
        ("hf://ggml-org/llama.cpp/", FOLDER("ggml-org/llama.cpp", "")),
        ("https://huggingface.co/o/resolve/resolve/main/f", HUB("o/resolve", "f")),
        (
            "http://h.example/f/578df07c8fc04ffbadf3/?dl=1",
            HttpRef(SecretURL("http://h.example/f/578df07c8fc04ffbadf3/?dl=1")),
        ),
        ("https://h.example/d/a7/files/?p=%2Fa%2F", HttpRef(SecretURL("https://h.example/d/a7/files/?p=%2Fa%2F"))),
        ("https://h.example/x?p=/a/", HttpRef(SecretURL("https://h.example/x?p=/a/"))),
        (
            "https://huggingface.co:8443/o/r/resolve/main/f",
            HttpRef(SecretURL("https://huggingface.co:8443/o/r/resolve/main/f")),
        ),
        ("https://civitai.com:8443/models/9", HttpRef(SecretURL("https://civitai.com:8443/models/9"))),
        ("https://civitai.red/models/9?modelVersionId=1", CivitaiRef(1)),
        ("https://www.civitai.red/models/9", CivitaiModelRef(9)),
        ("https://civitai.green/models/9/", CivitaiModelRef(9)),
        (f"{DOWNLOAD}/?TYPE=VAE", CivitaiRef(7, None, (("type", "VAE"),))),
        (
            f"{DOWNLOAD}?fp=fp16&type=Pruned+Model&fileId=8",
            CivitaiRef(7, 8, (("type", "Pruned Model"), ("fp", "fp16"))),
        ),
        ("urn:air:sdxl:checkpoint:civitai:827184@2514310", CivitaiRef(2514310)),
        ("urn:air:sd1:model:civitai:2421@43533+77", CivitaiRef(43533, 77)),
        ("URN:AIR:sdxl:lora:civitai:328553@368189.safetensors", CivitaiRef(368189, None, (("format", "SafeTensor"),))),
        ("urn:air:civitai:2421", CivitaiModelRef(2421)),
    ],
)
def test_what_a_link_means(text: str, ref: SourceRef | HuggingFolderRef) -> None:
    assert understood(text) == ref
    assert understood(str(ref)) == ref


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://h.example/d/f%20g.bin?dl=1", "f g.bin"),
        ("https://h.example/d/LICENSE", "LICENSE"),
        ("https://h.example/download?file=f.bin", None),
        ("https://h.example/d/a7/files/?p=%2Ff.bin", None),
        ("hf://bert-base-uncased/model.safetensors", "model.safetensors"),
        ("https://civitai.red/api/download/models/7?type=VAE", None),
        ("urn:air:sdxl:lora:civitai:1@2", None),
    ],
)
def test_the_name_of_a_file_is_known_only_where_the_link_tells_it(text: str, name: str | None) -> None:
    assert file_name(text) == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://huggingface.co/o/r/resolve/main/f.bin?name=g.bin", "the parameter 'name', which is not known"),
        ("https://huggingface.co/o/r/tree/main?show_file_info=f.gguf", "'show_file_info', which is not known"),
        ("https://huggingface.co/o/r/resolve/main/f#g.bin", "behind a #, which no host is told"),
        ("https://mega.example/file/abc#key", "behind a #, which no host is told"),
        ("https://example.org/d/", "is a directory"),
        ("https://huggingface.co/bert-base-uncased", "is not a link to one file"),
        ("https://huggingface.co/buckets/o/b/resolve/f", "is not a link to one file"),
        ("hf://buckets/o/b/f.bin", "is in no repository of models, datasets or spaces"),
        ("hf://a/", "names no repository"),
        (f"{DOWNLOAD}?type=VAE&type=Model", "the parameter 'type' twice"),
        (f"{DOWNLOAD}?type=", "the parameter 'type' without a value"),
        (f"{DOWNLOAD}?type=a%00", "the parameter 'type' without a value"),
        (f"{DOWNLOAD}?fileId=x", "a word where a number belongs"),
        (f"{DOWNLOAD}?modelVersionId=8", "'modelVersionId', which is not known"),
        (f"{PAGE}?fileId=8", "names a file and no version"),
        ("urn:air:sdxl:lora:civitai:1@2:layer", "has a part that names no file"),
        ("urn:air:sdxl:lora:civitai:1@latest", "has a part that names no file"),
        ("urn:air:sdxl:lora:civitai:1+7", "names a file and no version"),
        ("urn:air:sdxl:lora:civitai:1@2.tar", "has the format 'tar', which is not known"),
        ("urn:air:model:huggingface:stabilityai/sdxl-vae", "hf://owner/repo/path"),
        ("urn:isbn:3", "is not an AI resource identifier"),
        ("civitia:1", "known are hf://, https://, http://, file://, civitai:, urn:air:; did you mean civitai:?"),
    ],
)
def test_what_a_refused_link_is_told(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\.|\?") as caught:
        parse_folder(text) if names_folder(text) else parse_source(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "x-goog-signature",
        "X-Amz-Credential",
        "sig",
        "Signature",
        "Policy",
        "Authorization",
        "auth",
        "api_key",
        "apikey",
        "api-key",
        "password",
        "secret",
        "client_secret",
        "__token__",
        "jwt",
    ],
)
@pytest.mark.parametrize(
    "host", ["h.example/f", "huggingface.co/o/r/resolve/main/f", "civitai.com/api/download/models/7"]
)
def test_a_secret_in_a_source_is_refused_and_not_repeated(name: str, host: str) -> None:
    for query in (f"{name}={SECRET}", f"a=b&{quote(name, safe='')}={SECRET}", f"{name.upper()}={SECRET}&a=b"):
        with pytest.raises(ValueError, match=r"credential|not known") as caught:
            parse_stored_source(f"https://{host}?{query}")
        assert SECRET not in str(caught.value)
        try:
            assert SECRET not in str(parse_listed_source(f"https://{host}?{query}"))
        except ValueError as error:
            assert SECRET not in str(error)


@pytest.mark.parametrize("name", ["type", "fileId", "Key-Pair-Id", "Expires", "path", "tokens_per_file", "id"])
def test_what_is_no_secret_is_kept(name: str) -> None:
    assert not is_secret_name(name)
    link = f"https://h.example/f?a=1&{name}=b%2F+c&z"
    assert without_tokens(link) == link
    assert without_tokens(f"https://h.example/f?token=x&{name}=1") == f"https://h.example/f?{name}=1"
    assert without_tokens("https://h.example/f?token=x") == "https://h.example/f"


def test_an_address_that_stands_in_no_file_may_be_signed() -> None:
    ref = parse_source(f"https://h.example/m.yaml?X-Amz-Signature={SECRET}")
    assert isinstance(ref, HttpRef)
    assert ref.signed
