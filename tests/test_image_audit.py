"""What an image stores, hides and repeats: layers made by hand, in each form an image is saved in."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.demo.content import SyntheticFile
from prefetch.errors import ContentError, UsageError
from prefetch.image.accounts import Accounts, LayerAccount, account
from prefetch.image.archive import read_image
from prefetch.image.contents import Contents, Directory, Link, Replacement, Stored, SymbolicLink, Whiteout
from prefetch.image.reading import Reading
from prefetch.image.recognise import model_format
from prefetch.image.tarstream import Readable
from tests.support.images import LayerMaker, docker_archive, oci_archive, oci_layout

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Maker = Callable[[Path, Sequence[LayerMaker]], Path]


def model(name: str, size: int, kind: str = "safetensors") -> bytes:
    content = SyntheticFile(name, size, kind, 0)  # type: ignore[arg-type]
    return b"".join(map(bytes, content.views(0, size)))


VAE = model("vae", 50_000)
UNET = model("unet", 90_000, "gguf")
RIFE = model("rife", 40_000, "pth")


def stored(path: str, content: bytes) -> Stored:
    return Stored(path, len(content), hashlib.sha256(content).digest(), None)


def accounts(*layers: Contents) -> list[LayerAccount]:
    return account(layers).layers


FORMS: dict[str, Maker] = {
    "docker-archive": lambda folder, layers: docker_archive(folder / "image.tar", layers),
    "oci-archive": lambda folder, layers: oci_archive(folder / "image.tar", layers),
    "oci-archive-zstd": lambda folder, layers: oci_archive(folder / "image.tar", layers, compress=zstd.compress),
    "oci-layout": lambda folder, layers: oci_layout(folder / "layout", layers),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Maker:
    return FORMS[request.param]


def audited(path: Path) -> Accounts:
    return account([layer.contents for layer in read_image(path)])


def test_a_fat_image_is_accounted_to_the_byte_in_every_form(tmp_path: Path, form: Maker) -> None:
    """Fifteen COPY layers in which models are repeated, moved and deleted."""
    chance = random.Random(4)
    layers = [LayerMaker("FROM base").file("etc/base", b"b" * 5_000)]
    models = {f"m{n}": model(f"m{n}", 20_000 + 1_000 * n) for n in range(10)}
    layers += [LayerMaker(f"COPY {name}").file(f"comfyui/models/vae/{name}.st", body) for name, body in models.items()]
    layers.append(LayerMaker("RUN cp").file("opt/again/m3", models["m3"]).file("opt/again/m4", models["m4"]))
    layers.append(
        LayerMaker("RUN mv").file("comfyui/models/vae/new.st", models["m5"]).delete("comfyui/models/vae/m5.st")
    )
    layers.append(LayerMaker("RUN rm").delete("comfyui/models/vae/m6.st"))
    layers.append(LayerMaker("RUN pip").file("usr/lib/x.py", chance.randbytes(7_000)))
    found = audited(form(tmp_path, layers))

    sizes = {name: len(body) for name, body in models.items()}
    total = sum(sizes.values()) + sizes["m3"] + sizes["m4"] + sizes["m5"] + 12_000
    assert len(found.layers) == 15
    assert sum(layer.stored for layer in found.layers) == total
    assert sum(layer.models for layer in found.layers) == total - 12_000
    assert sum(layer.hidden for layer in found.layers) == sizes["m5"] + sizes["m6"]
    assert sum(layer.duplicated for layer in found.layers) == sizes["m3"] + sizes["m4"] + sizes["m5"]
    assert sum(layer.wasted for layer in found.layers) == sizes["m3"] + sizes["m4"] + 2 * sizes["m5"] + sizes["m6"]

    by_hash = {one.sha256: one for one in found.models}
    assert {one.size for one in found.models} == set(sizes.values())
    moved = by_hash[hashlib.sha256(models["m5"]).digest()]
    assert (len(moved.stored_at), moved.paths) == (2, ["comfyui/models/vae/new.st"])
    deleted = by_hash[hashlib.sha256(models["m6"]).digest()]
    assert (len(deleted.stored_at), deleted.paths) == (1, [])


def test_a_models_commands_and_blob_sizes_are_told(tmp_path: Path, form: Maker) -> None:
    layers = [LayerMaker("ADD one").file("a", b"1"), LayerMaker("ADD two").file("b", b"2")]
    found = read_image(form(tmp_path, layers))
    assert [layer.made_by for layer in found] == ["ADD one", "ADD two"]
    assert all(layer.blob_size > 0 for layer in found)


def test_a_root_file_system_is_one_layer(tmp_path: Path) -> None:
    (tmp_path / "comfyui/models").mkdir(parents=True)
    (tmp_path / "comfyui/models/vae.safetensors").write_bytes(VAE)
    os.link(tmp_path / "comfyui/models/vae.safetensors", tmp_path / "comfyui/second")
    (tmp_path / "link").symlink_to("comfyui")
    found = audited(tmp_path)
    assert found.layers == [LayerAccount(files=1, stored=50_000, models=50_000)]
    assert found.models[0].paths == ["comfyui/models/vae.safetensors", "comfyui/second"]


def test_what_goes_away_while_a_live_folder_is_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "c" / "d").mkdir(parents=True)
    for name in ("a", "b", "c/d/e", "z"):
        (tmp_path / name).write_bytes(VAE)

    def vanish(body: Readable) -> Readable:
        (tmp_path / "b").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        return body

    gone: list[str] = []
    (layer,) = read_image(tmp_path, through=vanish, gone=gone.append)
    assert gone == ["b", "c"]
    assert [entry.path for entry in layer.contents if isinstance(entry, Stored)] == ["a", "z"]
    with pytest.raises(UsageError, match="no-folder"):
        read_image(tmp_path / "no-folder")


def test_an_exported_root_file_system_is_one_layer_too(tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_bytes(LayerMaker().directory("bin/").file("bin/sh", b"#!").file("x.json", b"{}").tar())
    assert audited(path).layers == [LayerAccount(files=2, stored=4)]


def test_a_whole_archive_may_be_compressed(tmp_path: Path) -> None:
    plain = docker_archive(tmp_path / "image.tar", [LayerMaker().file("vae", VAE)])
    packed = tmp_path / "image.tar.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert audited(packed).layers == audited(plain).layers


@pytest.mark.parametrize("kind", ["archive", "layout", "root"])
def test_how_far_a_large_image_is_read_is_told_every_half_minute(tmp_path: Path, kind: str) -> None:
    layers = [LayerMaker().file("vae", VAE), LayerMaker().file("rife", RIFE)]
    if kind == "root":
        (tmp_path / "vae").write_bytes(VAE)
    path = {
        "archive": lambda: docker_archive(tmp_path / "image.tar", layers),
        "layout": lambda: oci_layout(tmp_path, layers),
        "root": lambda: tmp_path,
    }[kind]()
    total = path.stat().st_size if path.is_file() else None
    said: list[str] = []
    clock = iter(range(0, 100_000, 16))
    reading = Reading(said.append, total=total, clock=lambda: next(clock))
    read_image(path, through=reading.through)
    assert said and len(said) <= next(clock) // 32
    assert all(sentence.endswith(" read") and ("%" in sentence) == (total is not None) for sentence in said)


def test_an_archive_cut_anywhere_is_one_sentence(tmp_path: Path) -> None:
    whole = docker_archive(tmp_path / "image.tar", [LayerMaker().file("vae", VAE), LayerMaker().file("b", b"2")])
    data = whole.read_bytes()
    cut = tmp_path / "cut.tar"
    for length in random.Random(1).sample(range(512, len(data) - 20_000), 40):
        cut.write_bytes(data[:length])
        with pytest.raises((ContentError, UsageError), match=r"Save the image once more\.|docker save"):
            read_image(cut)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 4096, b"not a tar at all" * 1000, gzip.compress(b"neither is this")],
    ids=["empty", "zeros", "text", "packed text"],
)
def test_what_is_no_archive_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    with pytest.raises((ContentError, UsageError)):
        read_image(path)


def test_an_archive_of_several_images_names_them(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "image.tar", [])
    data = path.read_bytes().replace(b'[{"Config"', b'[{"Config":"","RepoTags":["a:1"],"Layers":[]},{"Config"')
    path.write_bytes(data)
    with pytest.raises((ContentError, UsageError)):
        read_image(path)


# What one entry does to what lower layers have. Sizes tell the files apart: 1, 2, 4 ... bytes.
A, B, C = b"a", b"bb", b"cccc"


@pytest.mark.parametrize(
    ("layers", "hidden"),
    [
        pytest.param([[stored("x", A)], [stored("x", B)]], 1, id="overwritten"),
        pytest.param([[stored("x", A)], [Whiteout("x", opaque=False)]], 1, id="deleted"),
        pytest.param([[stored("d/x", A), stored("d/y", B)], [Whiteout("d", opaque=False)]], 3, id="folder-deleted"),
        pytest.param(
            [[stored("d/x", A)], [stored("d/y", B), Whiteout("d", opaque=True)]], 1, id="opaque-keeps-its-own"
        ),
        pytest.param([[stored("d/x", A)], [Directory("d")]], 0, id="folder-again"),
        pytest.param([[stored("d", A)], [Directory("d")]], 1, id="folder-over-file"),
        pytest.param([[stored("d", A)], [stored("d/x", B)]], 1, id="file-becomes-folder"),
        pytest.param([[stored("d/x", A)], [stored("d", B)]], 1, id="folder-becomes-file"),
        pytest.param([[stored("d/x", A)], [Replacement("d")]], 1, id="folder-becomes-link"),
        pytest.param([[stored("x", A), Link("y", "x")], [Whiteout("x", opaque=False)]], 0, id="second-name-stays"),
        pytest.param(
            [[stored("x", A), Link("y", "x")], [Replacement("x"), Whiteout("y", opaque=False)]], 1, id="both-go"
        ),
        pytest.param([[stored("x", A)], [Whiteout("x", opaque=False)], [stored("x", A)]], 1, id="deleted-and-back"),
        pytest.param([[stored("x", A)], [Whiteout("nowhere/at/all", opaque=False)]], 0, id="whiteout-of-nothing"),
        pytest.param([[stored("x", A), stored("x", C)]], 1, id="twice-in-one-layer"),
        pytest.param([[stored("x", A)], [Link("x", "gone")]], 1, id="link-to-nothing"),
        pytest.param([[stored("x", A)], [Whiteout("", opaque=True)]], 1, id="everything"),
    ],
)
def test_hidden(layers: list[Contents], hidden: int) -> None:
    assert sum(layer.hidden for layer in accounts(*layers)) == hidden


def test_a_copy_is_a_duplicate_of_what_was_stored_first() -> None:
    first, second = accounts([stored("x", C)], [stored("y", C), stored("z", C)])
    assert (first.duplicated, second.duplicated) == (0, 8)


paths = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)
entries = st.one_of(
    st.builds(stored, paths, st.binary(min_size=1, max_size=3)),
    st.builds(Link, paths, paths),
    st.builds(Whiteout, paths, opaque=st.booleans()),
    st.builds(Directory, paths),
    st.builds(Replacement, paths),
    st.builds(SymbolicLink, paths, st.sampled_from(["a", "../b", "/", "/a/b", "..", "."])),
)


@given(st.lists(st.lists(entries, max_size=6), max_size=5))
def test_whatever_the_layers_no_byte_is_counted_twice_or_lost(layers: list[Contents]) -> None:
    found = account(layers)
    for contents, layer in zip(layers, found.layers, strict=True):
        assert layer.stored == sum(entry.size for entry in contents if isinstance(entry, Stored))
        assert 0 <= max(layer.hidden, layer.duplicated) <= layer.wasted <= layer.hidden + layer.duplicated
        assert layer.wasted <= layer.stored


links = st.tuples(
    st.lists(st.sampled_from(["models", "b", "c"]), min_size=1, max_size=3).map("/".join),
    st.lists(st.sampled_from(["..", ".", "models", "b", "c", "file"]), min_size=1, max_size=5).map("/".join),
)


@given(files=st.sets(paths.map(lambda path: f"models/{path}/file"), max_size=3), links=st.lists(links, max_size=5))
def test_links_lead_where_the_system_has_them_lead(
    tmp_path_factory: pytest.TempPathFactory, files: set[str], links: list[tuple[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("root").resolve()
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(VAE + file.encode())
    for path, target in links:
        with suppress(OSError):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(target)
    seen = {path: model.sha256 for model in audited(root).models for path in (*model.paths, *model.links)}
    inside = {path for path in seen if os.path.realpath(root / path).startswith(f"{root}/")}
    for path, sha256 in ((path, seen[path]) for path in inside):
        assert hashlib.sha256((root / path).read_bytes()).digest() == sha256
    shown = {str(path.relative_to(root)) for path in root.rglob("file") if path.is_file()}
    shown |= {path for path, _ in links if (root / path).is_file()}
    outside = {path for path in shown if not os.path.realpath(root / path).startswith(f"{root}/")}
    assert shown - outside <= seen.keys()


@pytest.mark.parametrize(
    ("path", "head", "size", "expected"),
    [
        ("x", VAE[:4096], len(VAE), "safetensors"),
        ("x.bin", UNET[:4096], len(UNET), "gguf"),
        ("blob", RIFE[:4096], len(RIFE), "torch"),
        ("x.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M", 3_000_000, "torch"),
        ("x.pt", b"\x80\x02}q\x00.", 60, None),
        ("x.onnx", b"\x08\x07\x12\x07pytorch", 2_000_000, "onnx"),
        ("x.onnx", b"\x08\x07\x12\x07pytorch", 100, None),
        ("x.zip", b"PK\x03\x04" + b"\0" * 26 + b"a", 2_000_000, None),
        ("x.safetensors", b"<!doctype html>", 15, None),
        ("x.json", b'{"a": 1}', 8, None),
        ("x", b"", 0, None),
    ],
)
def test_a_model_is_told_by_its_first_bytes(path: str, head: bytes, size: int, expected: str | None) -> None:
    assert model_format(path, head, size) == expected
