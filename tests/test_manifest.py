"""Manifests: what is accepted, and the exact sentence for what is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefetch.errors import ManifestError, UsageError
from prefetch.manifest import Wanted, load_manifests
from prefetch.volume.paths import check_model_path, corrected_path

SHA = "2fc39d31359a4b0a64f55876d8ff7fa8d780956ae2cb13463b0223e15148976b"
PATH_REMEDY = "Write a path with forward slashes, as in models/vae/NAME.safetensors."
SOURCE_REMEDY = "Write an address, as in hf://owner/repo/NAME.safetensors."
ENTRY_REMEDY = "Begin each entry with a dash: - path: models/vae/NAME.safetensors, and its source: below."
HASH_REMEDY = "Copy it from the file's page on its host, or leave the key out."
SIZE_REMEDY = "Write all digits, as in 253815318, or leave the key out."
GROUP_RULE = "groups[0] must be a name of at most 64 letters, digits, dots, dashes and underscores"
GROUP_REMEDY = "Write it as in i2v; quote a name that is a number."
FOREIGN = 'this is not a manifest. A manifest begins with "version: 1" and names its files under "models:".'
OLD = 'the manifest\'s version is not 1. Write "version: 1", or install a prefetch that reads this one.'
HEAD = "version: 1\nmodels:\n"
ENTRY = "  - path: models/a\n    source: hf://o/r/a\n"
AT = "entry 1 (models/a)"


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(folder: Path, text: str | bytes, *groups: str) -> Wanted:
    return load_manifests([write(folder, "m.yaml", text)], groups=groups)


def complaint(folder: Path, *names: str) -> str:
    """What is said about the manifests in ``folder``, with their names as if it were the working directory."""
    with pytest.raises(ManifestError) as caught:
        load_manifests([folder / name for name in names or ["m.yaml"]])
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}{os.sep}", "").replace(str(folder), ".")


def test_every_key(tmp_path: Path) -> None:
    text = f"""
version: 1
models:
  - path: models/vfi/rife/rife47.pth
    source: hf://wavespeed/misc/rife/rife47.pth
    mirrors: [hf://marduk191/rife/rife47.pth, "https://example.com/rife47.pth?download=true"]
    sha256: {SHA.upper()}
    size: 21344827
    groups: [i2v, wan-2.2]
    node_path: custom_nodes/comfyui-frame-interpolation/ckpts/rife/rife47.pth
"""
    (entry,) = load(tmp_path, text).entries
    assert entry.model.model_dump() == {
        "path": "models/vfi/rife/rife47.pth",
        "source": "hf://wavespeed/misc/rife/rife47.pth",
        "mirrors": ("hf://marduk191/rife/rife47.pth", "https://example.com/rife47.pth?download=true"),
        "sha256": SHA,
        "size": 21344827,
        "groups": ("i2v", "wan-2.2"),
        "node_path": "custom_nodes/comfyui-frame-interpolation/ckpts/rife/rife47.pth",
    }
    assert str(entry.place) == f"{tmp_path}/m.yaml:4"


@pytest.mark.parametrize(
    "lines",
    [
        "sha256:",
        "sha256: null",
        f"sha256: '{'0' * 64}'",
        f"sha256: {'1' * 64}",
        "size: 0",
        "size: 0x10",
        "size: ~",
        "groups: []",
        "groups: [no, 'on', i2v]",
        "node_path: null",
        "source: http://127.0.0.1:8000/a",
        f"source: http://example.com/a\n    sha256: {SHA}",
    ],
)
def test_accepted(tmp_path: Path, lines: str) -> None:
    source = "" if "source" in lines else "    source: hf://o/r/a\n"
    assert load(tmp_path, f"{HEAD}  - path: models/a\n{source}    {lines}\n").entries


@pytest.mark.parametrize("text", ["version: 1\nmodels: []", '{"version": 1, "models": []}', "version: 1\ninclude: []"])
def test_no_model_is_no_error(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).entries == ()


BAD: list[tuple[str, str]] = [
    ("", f"m.yaml: {FOREIGN}"),
    ("# only a comment", f"m.yaml: {FOREIGN}"),
    ("[]", f"m.yaml: {FOREIGN}"),
    ("12", f"m.yaml: {FOREIGN}"),
    ("models: []", f"m.yaml: {FOREIGN}"),
    ("password: hunter2\npassphrase: x", f"m.yaml: {FOREIGN}"),
    ("root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin", f"m.yaml: {FOREIGN}"),
    ("services: {}\nversion: '3.9'", f"m.yaml:2: {OLD}"),
    ("version: 2", f"m.yaml:1: {OLD}"),
    ("version: true", f"m.yaml:1: {OLD}"),
    ("version: '1'", f"m.yaml:1: {OLD}"),
    ("version: 1", 'm.yaml: the manifest names no model. List the files under "models:".'),
    ("version: 1\nmodels: {a: b}", f"m.yaml:2: models must be a list of entries, not a mapping. {ENTRY_REMEDY}"),
    (
        "version: 1\nmodels: [x]",
        f'm.yaml:2: entry 1: the entry must be a mapping with path and source, not "x". {ENTRY_REMEDY}',
    ),
    (
        "version: 1\nmodels: []\ninclude: b.yaml",
        (
            'm.yaml:3: include must be a list of at most 64 files, not "b.yaml". '
            "Write brackets even for one: include: [extras.yaml]."
        ),
    ),
    (
        "version: 1\ninclude: [3]",
        "m.yaml:2: include[0] must be text, not 3. Write a file's path relative to this file, as in extras.yaml.",
    ),
    ("version: 1\nmodel: []\nmodels: []", 'm.yaml:2: the key "model" is unknown. Did you mean "models"?'),
    (
        "version: 1\nx: 1\nmodels: []",
        'm.yaml:2: the key "x" is unknown. The keys here are version, models, include.',
    ),
    (f"{HEAD}{ENTRY}    sha265: {SHA}", f'm.yaml:5: {AT}: the key "sha265" is unknown. Did you mean "sha256"?'),
    (f"{HEAD}{ENTRY}    SIZE: 1", f'm.yaml:5: {AT}: the key "SIZE" is unknown. Did you mean "size"?'),
    (
        f"{HEAD}{ENTRY}    url: x",
        (
            f'm.yaml:5: {AT}: the key "url" is unknown. '
            "The keys here are path, source, mirrors, sha256, size, groups, node_path."
        ),
    ),
    (f"{HEAD}  - path: models/a", f'm.yaml:3: {AT}: the key "source" is missing. {SOURCE_REMEDY}'),
    (f"{HEAD}  - source: hf://o/r/a", f'm.yaml:3: entry 1: the key "path" is missing. {PATH_REMEDY}'),
    (f"{HEAD}  - path: 12\n    source: hf://o/r/a", f"m.yaml:3: entry 1: path must be text, not 12. {PATH_REMEDY}"),
    (
        f"{HEAD}  - path: models/a\n    source: [x]",
        f"m.yaml:4: {AT}: source must be text of at most 4096 characters, not a list. {SOURCE_REMEDY}",
    ),
    (
        f"{HEAD}{ENTRY}    sha256: abc",
        f'm.yaml:5: {AT}: sha256 must be 64 hexadecimal digits, not "abc". {HASH_REMEDY}',
    ),
    (
        f"{HEAD}{ENTRY}    sha256: {SHA}0",
        f'm.yaml:5: {AT}: sha256 must be 64 hexadecimal digits, not "{SHA}0". {HASH_REMEDY}',
    ),
    (f"{HEAD}{ENTRY}    sha256: 12", f"m.yaml:5: {AT}: sha256 must be 64 hexadecimal digits, not 12. {HASH_REMEDY}"),
    (
        f'{HEAD}{ENTRY}    sha256: "{SHA}\\n"',
        f'm.yaml:5: {AT}: sha256 must be 64 hexadecimal digits, not "{SHA}?". {HASH_REMEDY}',
    ),
    (
        f"{HEAD}{ENTRY}    size: 13.2GB",
        f'm.yaml:5: {AT}: size must be a whole number of bytes, not "13.2GB". {SIZE_REMEDY}',
    ),
    (f"{HEAD}{ENTRY}    size: -1", f"m.yaml:5: {AT}: size must be a whole number of bytes, not -1. {SIZE_REMEDY}"),
    (f"{HEAD}{ENTRY}    size: 1.0", f"m.yaml:5: {AT}: size must be a whole number of bytes, not 1.0. {SIZE_REMEDY}"),
    (f"{HEAD}{ENTRY}    size: true", f"m.yaml:5: {AT}: size must be a whole number of bytes, not true. {SIZE_REMEDY}"),
    (
        f"{HEAD}{ENTRY}    size: 9223372036854775808",
        f"m.yaml:5: {AT}: size must be a whole number of bytes, not 9223372036854775808. {SIZE_REMEDY}",
    ),
    (
        f"{HEAD}{ENTRY}    groups: i2v",
        (
            f'm.yaml:5: {AT}: groups must be a list of at most 64 names, not "i2v". '
            "Write brackets even for one: groups: [i2v]."
        ),
    ),
    (f"{HEAD}{ENTRY}    groups: [2.2]", f"m.yaml:5: {AT}: {GROUP_RULE}, not 2.2. {GROUP_REMEDY}"),
    (f"{HEAD}{ENTRY}    groups:\n      - a,b", f'm.yaml:6: {AT}: {GROUP_RULE}, not "a,b". {GROUP_REMEDY}'),
    (f"{HEAD}{ENTRY}    groups: ['']", f'm.yaml:5: {AT}: {GROUP_RULE}, not "". {GROUP_REMEDY}'),
    (
        f"{HEAD}{ENTRY}    mirrors: hf://o/r/b",
        (
            f'm.yaml:5: {AT}: mirrors must be a list of at most 64 addresses, not "hf://o/r/b". '
            "Write brackets even for one: mirrors: [hf://owner/repo/NAME.safetensors]."
        ),
    ),
    (
        f"{HEAD}{ENTRY}    mirrors: [hf://o/r/b]",
        (
            f"m.yaml:3: {AT}: mirrors need a sha256, for nothing else shows that they hold the same file; "
            "add it or drop them."
        ),
    ),
    (
        f"{HEAD}  - path: models/a\n    source: http://example.com/a",
        (
            f"m.yaml:3: {AT}: a source over plain http:// needs a sha256, for anyone on the way can change the bytes; "
            "add it or use https://."
        ),
    ),
    (
        f"{HEAD}  - path: models/a\n    source: civitai:v12",
        (
            f"m.yaml:4: {AT}: source: 'civitai:v12' is not a Civitai source; "
            "write civitai:VERSION or civitai:VERSION/FILE-ID."
        ),
    ),
    ("version: 1\nmodels: *x", "m.yaml:2: aliases (*name) are refused; write the value out. "),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "m.yaml", text)
    assert complaint(tmp_path).removesuffix("Correct the file.") == message


HOSTILE = [
    "/etc/passwd",
    "..",
    "../a",
    "models/../../a",
    "models/./a",
    "models//a",
    "C:/a",
    "c:a",
    "models\\a",
    "models/\0a",
    "models/a\n",
    "models/\x1b[31ma",
    ".prefetch/inventory/a",
    ".PREFETCH/a",
    "",
    "a" * 256,
    "a/" * 600 + "a",
]


@pytest.mark.parametrize("key", ["path", "node_path"])
@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths(tmp_path: Path, key: str, path: str) -> None:
    quoted = '"' + "".join(f"\\x{ord(c):02x}" for c in path) + '"'
    other = "    path: models/a\n" if key == "node_path" else ""
    write(tmp_path, "m.yaml", f"{HEAD}  - source: hf://o/r/a\n{other}    {key}: {quoted}\n")
    said = complaint(tmp_path)
    place = f"m.yaml:5: {AT}: node_path: " if other else "m.yaml:4: entry 1: "
    assert said.startswith(f"{place}the path ")
    assert said.endswith((PATH_REMEDY, f"; write {corrected_path(path)}."))
    assert said.isprintable()


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("C:\\ComfyUI\\models\\vae\\x.pt", "models/vae/x.pt"),
        ("models\\vae\\x.pt", "models/vae/x.pt"),
        ("/workspace/models/vae/x.pt", "models/vae/x.pt"),
        ("/workspace/ComfyUI/models/vae/x.pt", "models/vae/x.pt"),
        ("/runpod-volume/vae/x.pt", "vae/x.pt"),
        ("./models/./vae//x.pt", "models/vae/x.pt"),
        ("../ComfyUI/models/vae/x.pt", "models/vae/x.pt"),
    ],
)
def test_a_refused_path_is_told_as_it_was_meant(tmp_path: Path, path: str, meant: str) -> None:
    write(tmp_path, "m.yaml", f"{HEAD}  - source: hf://o/r/a\n    path: '{path}'\n")
    assert complaint(tmp_path).endswith(f"; write {meant}.")
    write(tmp_path, "m.yaml", f"{HEAD}  - source: hf://o/r/a\n    path: {meant}\n")
    assert [entry.model.path for entry in load_manifests([tmp_path / "m.yaml"]).entries] == [meant]


@given(st.text(max_size=60), st.sampled_from(["", "/", "C:\\", "/workspace/", "../", "models/"]))
def test_what_a_path_is_corrected_to_is_accepted(text: str, before: str) -> None:
    meant = corrected_path(before + text)
    if meant is not None:
        check_model_path(meant)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("https://h.test/d/a%20b.pth?x=1", "models/vae/a b.pth"),
        ("hf://a/b/c%20d.pth", "models/vae/c%20d.pth"),
        ("hf://a/b@v1/deep/c.pth", "models/vae/c.pth"),
        ("file:///srv/c.pth", "models/vae/c.pth"),
    ],
)
def test_a_directory_takes_the_file_under_its_own_name(tmp_path: Path, source: str, path: str) -> None:
    write(tmp_path, "m.yaml", f"{HEAD}  - path: models/vae/\n    source: {source}\n")
    assert [entry.model.path for entry in load_manifests([tmp_path / "m.yaml"]).entries] == [path]


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("hf://owner/repo", "hf://owner/repo/"),
        ("hf://owner/repo@v1", "hf://owner/repo@v1/"),
        ("https://huggingface.co/owner/repo", "hf://owner/repo/"),
        ("https://huggingface.co/datasets/owner/repo", "hf://datasets/owner/repo/"),
    ],
)
def test_a_whole_repository_is_told_as_it_is_written(tmp_path: Path, source: str, meant: str) -> None:
    write(tmp_path, "m.yaml", f"{HEAD}  - path: models/all/\n    source: {source}\n")
    assert complaint(tmp_path).endswith(f"write {meant}.")
    write(tmp_path, "m.yaml", f"{HEAD}  - path: models/all/\n    source: {meant}\n")
    assert len(load_manifests([tmp_path / "m.yaml"]).folders) == 1


@pytest.mark.parametrize(
    "text",
    ['{"nodes": [{"id": 1, "type": "VAELoader"}], "links": [], "version": 0.4}', '{"3": {"class_type": "VAELoader"}}'],
)
def test_a_workflow_is_told_as_one(tmp_path: Path, text: str) -> None:
    write(tmp_path, "w.json", text)
    with pytest.raises(ManifestError, match=r"this is a workflow of ComfyUI, and not a manifest.*prefetch workflow"):
        load_manifests([tmp_path / "w.json"])


def test_a_directory_for_a_source_that_names_no_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "m.yaml", f"{HEAD}  - path: models/vae/\n    source: civitai:7\n")
    assert "the source names no file; write models/vae/NAME." in complaint(tmp_path)


@pytest.mark.parametrize("empty", ["models:", "models: []", "models:\n#  - path: models/vae/x"])
def test_no_models_is_a_list_of_none(tmp_path: Path, empty: str) -> None:
    write(tmp_path, "m.yaml", f"version: 1\n{empty}\n")
    assert load_manifests([tmp_path / "m.yaml"]).entries == ()


def test_errors_come_together_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, "m.yaml", HEAD + "  - {path: models/a, source: hf://o/r/a, size: x}\n" * 13)
    first, *rest, last = complaint(tmp_path).split("\n")
    assert first == "13 errors in the manifest:"
    assert [line.partition(" ")[0] for line in rest] == [f"m.yaml:{number}:" for number in range(3, 13)]
    assert last == "… and 3 more."


SOURCE = "source: https://h/a"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (f"{{path: m/a, {SOURCE}, mirrors: [{','.join('hf://o/r/a' for _ in range(100_000))}]}}", "and has 100000."),
        (f"{{path: m/a, {SOURCE}, groups: [{','.join('g' for _ in range(100_000))}]}}", "and has 100000."),
        (f"{{{','.join(f'k{number}: 1' for number in range(100_000))}}}", "this mapping has more than 64 keys."),
        ("1\n  - " * 100_000 + "1", "More than 1000 errors in the manifest:"),
        ("{a: 1, b: 2, c: 3, d: 4}\n  - " * 20_000 + "1", "More than 1000 errors in the manifest:"),
    ],
)
def test_very_many_of_anything_cost_little(tmp_path: Path, entry: str, message: str) -> None:
    write(tmp_path, "m.yaml", f"{HEAD}  - {entry}\n")
    begun = time.process_time()
    told = complaint(tmp_path)
    assert time.process_time() - begun < 2
    assert message in told and len(told) < 5_000


def test_an_error_far_down_has_its_own_line_and_number(tmp_path: Path) -> None:
    entries = [f"  - {{path: models/{number}, source: hf://o/r/a, size: {number}}}\n" for number in range(1_203)]
    write(tmp_path, "m.yaml", HEAD + "".join(entries))
    assert len(load_manifests([tmp_path / "m.yaml"]).entries) == 1_203
    entries[1_201] = entries[1_201].replace("size: 1201", "size: x")
    write(tmp_path, "m.yaml", HEAD + "".join(entries))
    assert complaint(tmp_path).startswith("m.yaml:1204: entry 1202 (models/1201): size must be a whole number")


def test_no_secret_and_no_long_text_in_an_error(tmp_path: Path) -> None:
    text = f"""{HEAD}
  - path: models/a
    source: https://user:sesame@example.com/a?token=sesame
    size: https://user:sesame@example.com/a?token=sesame
    sha256: {"z" * 5000}
    hf_sesamesesame: 1
    ? {"k" * 90000}
    : 1
"""
    write(tmp_path, "m.yaml", text)
    said = complaint(tmp_path)
    assert "sesame" not in said
    assert f'not "{"z" * 80}…".' in said
    assert max(map(len, said.split("\n"))) < 400


@pytest.mark.parametrize(("name", "reason"), [("none.yaml", "No such file or directory"), (".", "it is a directory")])
def test_unreadable(tmp_path: Path, name: str, reason: str) -> None:
    said = complaint(tmp_path, name)
    assert said == f"{name}: the manifest cannot be read: {reason}. Check its path and rights."


def test_endless_file() -> None:
    with pytest.raises(ManifestError, match=r"^/dev/zero: the manifest cannot be read: it is no regular file\. "):
        load_manifests(["/dev/zero"])


def test_ten_thousand_entries(tmp_path: Path) -> None:
    entries = (
        f"  - path: models/loras/{i}.safetensors\n    source: hf://o/r/{i}.safetensors\n    sha256: {i:064x}\n"
        f"    size: {i}\n    groups: [a, b]\n    node_path: custom_nodes/x/{i}.safetensors\n"
        for i in range(10_000)
    )
    wanted = load(tmp_path, HEAD + "".join(entries))
    assert len(wanted.entries) == 10_000
    assert wanted.entries[-1].model.sha256 == f"{9999:064x}"
    assert wanted.entries[-1].place.line == 59_997


def grouped(*groups: str) -> str:
    return HEAD + "".join(
        f"  - {{path: models/{number}, source: hf://o/r/a, groups: [{names}]}}\n" for number, names in enumerate(groups)
    )


@pytest.mark.parametrize(
    ("groups", "paths"),
    [((), "0123"), (("i2v",), "02"), (("t2i",), "12"), (("t2i", "i2v"), "012"), (("i2v", "i2v"), "02")],
)
def test_groups_select(tmp_path: Path, groups: tuple[str, ...], paths: str) -> None:
    wanted = load(tmp_path, grouped("i2v", "t2i", "i2v, t2i", ""), *groups)
    assert [entry.model.path for entry in wanted.entries] == [f"models/{number}" for number in paths]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            grouped("i2v", "t2i"),
            'No model is in a group "i2w". Did you mean "i2v"? The groups are i2v, t2i.',
        ),
        (grouped("upscale"), 'No model is in a group "i2w". The groups are upscale.'),
        (grouped(""), 'No model is in a group "i2w": the manifest has no groups. Drop --group.'),
    ],
)
def test_unknown_group(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text, "i2w")
    assert str(caught.value) == message


keys = st.sampled_from(
    ["version", "models", "include", "path", "source", "mirrors", "sha256", "size", "groups", "node_path"]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([1, SHA, "hf://o/r/a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=5),
    max_leaves=15,
)
manifests = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "models": values | st.lists(st.dictionaries(keys, values, max_size=7), max_size=4),
        "include": values,
    },
)


def as_yaml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"? {as_yaml(key)} : {as_yaml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_yaml, value)) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
        case None:
            return "null"
        case _:
            return str(value).lower()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | manifests.map(as_yaml).map(str.encode) | st.text(max_size=100).map(str.encode))
def test_whatever_a_manifest_holds_only_a_manifest_error_comes_of_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(data)
    try:
        load_manifests([path])
    except ManifestError as error:
        assert str(tmp_path) in str(error)
        assert str(error).replace("\n", "").isprintable()
