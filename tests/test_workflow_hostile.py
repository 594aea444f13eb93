"""Whatever bytes come as a workflow: an answer or one sentence, in bounded time and memory."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.comfyui.workflow import models_in
from prefetch.errors import UsageError
from tests.support.drawn import TABLE, drawn, end, found_in, names, node

LOADER = drawn([node(1, "UNETLoader", ("a.gguf",), outputs=[("MODEL", [90])]), end(9, 90)], [(90, 1, 0, 9, 0, "MODEL")])
TEXT = json.dumps(LOADER).encode()

KEYS = st.sampled_from(
    ["nodes", "links", "id", "type", "mode", "inputs", "outputs", "widgets_values", "properties", "models", "name",
     "link", "widget", "class_type", "definitions", "subgraphs", "linkIds", "proxyWidgets", "extra", "groupNodes",
     "origin_id", "target_id", "__value__", "content", "lora", "on", "prompt", "workflow", "1", "2",
     "ue_links", "links_added_by_ue", "downstream", "upstream", "controller", "ue_properties", "ue_convert",
     "title_regex", "group_restricted", "groups", "pos", "outputs"]
)  # fmt: skip
LEAVES = st.sampled_from(
    [None, True, 0, 1, 2, -10, -20, 4, 1.5, "", "1", "-10", "a.safetensors", "../x.pt", "UNETLoader", "Reroute",
     "SetNode", "GetNode", "PrimitiveNode", "LoRA Stacker", "RIFE VFI", "Anything Everywhere", "workflow>G", "sub",
     "\ud800"]
)  # fmt: skip
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5))


@given(JSON)
def test_any_json_in_the_place_of_any_other(value: Any) -> None:
    api = {"1": {"class_type": "VAELoader", "inputs": value}}
    for document in (value, {"nodes": value}, {"nodes": [value], "links": [value]}, api):
        try:
            found = models_in(json.dumps(document).encode(), table=TABLE)
        except UsageError:
            continue
        for model in found.models:
            assert ".." not in model.name.split("/") and not model.name.startswith("/")


@given(st.data())
def test_a_workflow_with_one_part_replaced(data: st.DataObject) -> None:
    document = json.loads(TEXT)
    part: Any = document
    while isinstance(part, dict | list) and part:
        at = data.draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        if data.draw(st.booleans()) or not isinstance(part[at], dict | list):
            part[at] = data.draw(JSON)
            break
        part = part[at]
    with suppress(UsageError):
        found_in(document)


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBPEXIF", b"fLaC", b"\xff\xfe"):
        with pytest.raises(UsageError):
            models_in(start + data, table=TABLE)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"nodes":' * 100_000, '{"nodes":[' + "[" * 900 + "]" * 900 + "]}"])
def test_deep_nesting(text: str) -> None:
    try:
        assert models_in(text.encode(), table=TABLE).models == ()
    except UsageError as error:
        assert "Traceback" not in str(error)


def test_a_hundred_megabytes() -> None:
    with pytest.raises(UsageError, match="larger than 32 MiB"):
        models_in(b" " * 100_000_000, table=TABLE)


def test_millions_of_values_are_never_made() -> None:
    with pytest.raises(UsageError, match="holds more than 1000000 values"):
        models_in(b"[" + b"{}," * 5_000_000 + b"{}]", table=TABLE)


def test_subgraphs_that_double_at_every_level() -> None:
    def level(number: int) -> dict[str, Any]:
        twice = [node(n, f"s{number + 1}") for n in (1, 2)]
        return {"id": f"s{number}", "nodes": twice, "links": [], "inputs": [], "outputs": []}

    with pytest.raises(UsageError, match="unfold to more than"):
        found_in(drawn([node(1, "s0")], definitions={"subgraphs": [level(number) for number in range(31)]}))


def test_a_long_chain_is_walked_once_for_all_that_hang_on_it() -> None:
    chain = [node(n, "Reroute", inputs=[("", "*", n)], outputs=[("*", [n + 1])]) for n in range(1, 6000)]
    last = [("vae_name", "COMBO", 6000, "vae_name")]
    loaders = [node(10_000 + n, "VAELoader", ("v.pt",), inputs=last) for n in range(6000)]
    links = [(n + 1, n, 0, n + 1, 0, "*") for n in range(6000)]
    assert names(drawn([*chain, *loaders], links)) == {"v.pt"}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + b"".join(chunks) + chunk(b"IEND", b"")


def webp(*texts: bytes) -> bytes:
    entries, data = b"", b""
    for number, text in enumerate(texts):
        text += b"\0"
        entries += struct.pack("<HHII", 0x010F + number, 2, len(text), 8 + 2 + 12 * len(texts) + 4 + len(data))
        data += text
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", len(texts)) + entries + bytes(4) + data
    body = b"WEBPEXIF" + struct.pack("<I", len(exif)) + exif
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flac(text: bytes) -> bytes:
    block = struct.pack("<I", 0) + struct.pack("<I", 1) + struct.pack("<I", len(text)) + text
    return b"fLaC" + bytes([0x80 | 4]) + len(block).to_bytes(3, "big") + block


API = json.dumps({"1": {"class_type": "VAELoader", "inputs": {"vae_name": "api.pt"}}}).encode()


@pytest.mark.parametrize(
    "picture",
    [
        png(chunk(b"tEXt", b"prompt\0" + API), chunk(b"tEXt", b"workflow\0" + TEXT)),
        png(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(TEXT))),
        png(chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(TEXT))),
        png(chunk(b"iTXt", b"workflow\0\0\0en\0w\0" + TEXT)),
        webp(b"prompt:" + API, b"workflow:" + TEXT),
        flac(b"workflow=" + TEXT),
    ],
)
def test_pictures(picture: bytes) -> None:
    assert [model.name for model in models_in(picture, table=TABLE).models] == ["a.gguf"]


def test_a_picture_that_another_workflow_made_says_so() -> None:
    both = png(chunk(b"tEXt", b"prompt\0" + API), chunk(b"tEXt", b"workflow\0" + TEXT))
    assert ["differ in a.gguf, api.pt" in said for said in models_in(both, table=TABLE).warnings] == [True]


def test_a_picture_whose_first_text_is_cut() -> None:
    both = png(chunk(b"tEXt", b"workflow\0" + TEXT[:50]), chunk(b"tEXt", b"prompt\0" + API))
    assert [model.name for model in models_in(both, table=TABLE).models] == ["api.pt"]


def test_a_picture_that_holds_the_servers_form_only() -> None:
    assert [m.name for m in models_in(png(chunk(b"tEXt", b"prompt\0" + API)), table=TABLE).models] == ["api.pt"]


def test_a_picture_without_a_workflow() -> None:
    with pytest.raises(UsageError, match="is a PNG picture that holds no workflow"):
        models_in(png(chunk(b"tEXt", b"parameters\0a cat")), table=TABLE)


def test_a_bomb_in_a_picture_is_inflated_once_and_to_a_limit() -> None:
    bomb = zlib.compress(bytes(80 << 20))
    with pytest.raises(UsageError):
        models_in(png(*[chunk(b"zTXt", b"workflow\0\0" + bomb)] * 50), table=TABLE)
