"""Several manifests, and manifests that include others, become one set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prefetch.errors import ManifestError
from prefetch.inputs import digest
from prefetch.manifest import Manifest, Place, load, load_manifests
from prefetch.manifest.validate import validate
from tests.test_manifest import SHA, complaint, write


def manifest(*entries: str, include: str = "") -> str:
    models = "".join(f"  - {{{entry}}}\n" for entry in entries) or "  []\n"
    return f"version: 1\nmodels:\n{models}" + (f"include: [{include}]\n" if include else "")


def named(name: str, more: str = "") -> str:
    return f"path: models/{name}, source: hf://o/r/{name}{more}"


def paths(*manifests: Path) -> list[str]:
    return [entry.model.path.removeprefix("models/") for entry in load_manifests(manifests).entries]


def test_included_entries_follow_the_including_ones(tmp_path: Path) -> None:
    root = write(tmp_path, "m.yaml", manifest(named("a"), include="sub/x.yaml, y.yaml"))
    write(tmp_path, "sub/x.yaml", manifest(named("b"), include="deeper/z.yaml, ../y.yaml"))
    write(tmp_path, "sub/deeper/z.yaml", manifest(named("c")))
    write(tmp_path, "y.yaml", manifest(named("d")))
    assert paths(root) == ["a", "b", "c", "d"]


def test_a_file_is_read_once_whoever_names_it(tmp_path: Path) -> None:
    x = write(tmp_path, "x.yaml", manifest(named("a")))
    root = write(tmp_path, "m.yaml", manifest(named("b"), include="x.yaml, ./x.yaml"))
    assert paths(x, root, x) == ["a", "b"]


def test_a_configuration_map_s_links_are_followed(tmp_path: Path) -> None:
    write(tmp_path, "..2026/m.yaml", manifest(named("a"), include="x.yaml"))
    write(tmp_path, "..2026/x.yaml", manifest(named("b")))
    (tmp_path / "..data").symlink_to("..2026")
    for name in ("m.yaml", "x.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert paths(tmp_path / "m.yaml") == ["a", "b"]


def test_equal_entries_become_one_with_both_groups(tmp_path: Path) -> None:
    one = write(tmp_path, "one.yaml", manifest(named("a", f", sha256: {SHA}, groups: [i2v, x]"), named("b")))
    two = write(tmp_path, "two.yaml", manifest(named("a", f", sha256: {SHA.upper()}, groups: [x, t2v]")))
    first, _ = load_manifests([one, two]).entries
    assert first.model.groups == ("i2v", "x", "t2v")
    assert first.place == Place(str(one), 3)


APART = "Give one of the two another path."


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            named("a"),
            "path: models/a, source: hf://o/r/b, size: 1",
            (
                'two.yaml:3: "models/a" is named in one.yaml:3 too, with another source and size. '
                "Make the two entries equal, or give one of them another path."
            ),
        ),
        (
            named("a", f", sha256: {SHA}"),
            named("a"),
            (
                'two.yaml:3: "models/a" is named in one.yaml:3 too, with another sha256. '
                "Make the two entries equal, or give one of them another path."
            ),
        ),
        (
            named("a"),
            named("a/b/c"),
            f'two.yaml:3: "models/a/b/c" needs a folder where one.yaml:3 names a file. {APART}',
        ),
        (
            named("a/b/c"),
            named("a"),
            f'one.yaml:3: "models/a/b/c" needs a folder where two.yaml:3 names a file. {APART}',
        ),
        (
            named("a", f", sha256: {SHA}, size: 7"),
            named("b", f", sha256: {SHA}, size: 8"),
            (
                'two.yaml:3: "models/b" has the sha256 of "models/a", which one.yaml:3 names with 7 bytes, and 8 bytes '
                "here. One content has one size: correct the sha256 or the size of one."
            ),
        ),
    ],
)
def test_contradictions(tmp_path: Path, first: str, second: str, message: str) -> None:
    write(tmp_path, "one.yaml", manifest(first))
    write(tmp_path, "two.yaml", manifest(second))
    assert complaint(tmp_path, "one.yaml", "two.yaml") == message


def test_one_content_at_two_paths_is_well_where_its_size_is_one_or_not_told(tmp_path: Path) -> None:
    same = f", sha256: {SHA}"
    text = manifest(named("a", f"{same}, size: 7"), named("b", same), named("c", f"{same}, size: 7"))
    assert paths(write(tmp_path, "m.yaml", text)) == ["a", "b", "c"]


def test_names_that_only_begin_alike_do_not_contradict(tmp_path: Path) -> None:
    assert paths(write(tmp_path, "m.yaml", manifest(named("a"), named("ab"), named("A"), named("b/a")))) == [
        "a",
        "ab",
        "A",
        "b/a",
    ]


def test_a_contradiction_counts_whatever_groups_are_asked_for(tmp_path: Path) -> None:
    entries = (named("a", ", groups: [x]"), "path: models/a, source: hf://o/r/b, groups: [y]")
    with pytest.raises(ManifestError, match="with another source"):
        load_manifests([write(tmp_path, "m.yaml", manifest(*entries))], groups=["x"])


FORM = "write a file's path relative to this file, with forward slashes, as in extras.yaml."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.yaml", 'there is no file "none.yaml" to include. Correct its path, relative to this file.'),
        ("sub", 'there is no file "sub" to include. Correct its path, relative to this file.'),
        ("pipe", 'there is no file "pipe" to include. Correct its path, relative to this file.'),
        ("n" * 300, f'there is no file "{"n" * 80}…" to include. Correct its path, relative to this file.'),
        ("loop", 'there is no file "loop" to include. Correct its path, relative to this file.'),
        (
            "../out.yaml",
            'the include "../out.yaml" leaves the first manifest\'s folder. Keep included manifests in . or below it.',
        ),
        (
            "link.yaml",
            'the include "link.yaml" leaves the first manifest\'s folder. Keep included manifests in . or below it.',
        ),
        ("m.yaml", "the includes run in a circle: m.yaml includes m.yaml. Take one of these includes out."),
        ("/etc/passwd", f"include[0]: {FORM}"),
        ("", f"include[0]: {FORM}"),
        ("a\\\\b.yaml", f"include[0]: {FORM}"),
        ("a\\0", f"include[0]: {FORM}"),
    ],
)
def test_includes_refused(tmp_path: Path, name: str, message: str) -> None:
    folder = tmp_path / "folder"
    write(tmp_path, "out.yaml", manifest(named("a")))
    write(folder, "m.yaml", f'version: 1\ninclude: ["{name}"]')
    write(folder, "sub/x.yaml", manifest())
    (folder / "link.yaml").symlink_to("../out.yaml")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    assert complaint(folder) == f"m.yaml:2: {message}"


def test_a_longer_circle(tmp_path: Path) -> None:
    write(tmp_path, "m.yaml", manifest(include="sub/x.yaml"))
    write(tmp_path, "sub/x.yaml", manifest(include="y.yaml"))
    write(tmp_path, "sub/y.yaml", manifest(named("a"), include="x.yaml"))
    assert complaint(tmp_path) == (
        "sub/y.yaml:4: the includes run in a circle: sub/x.yaml includes sub/y.yaml includes sub/x.yaml. "
        "Take one of these includes out."
    )


def test_what_is_no_manifest_is_not_quoted(tmp_path: Path) -> None:
    write(tmp_path, "m.yaml", manifest(include="secrets"))
    for secret in (
        "sesame",
        "sesame: sesame",
        "[sesame",
        "- sesame\n- &sesame x",
        "sesame: 1\nsesame: 2",
        "a: !sesame 1",
    ):
        write(tmp_path, "secrets", secret)
        said = complaint(tmp_path)
        assert said.startswith("secrets")
        assert "sesame" not in said


def test_depth(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path, f"{number}.yaml", manifest(named(str(number)), include=f"{number + 1}.yaml"))
    write(tmp_path, "10.yaml", manifest(named("10")))
    assert len(paths(tmp_path / "2.yaml")) == 9
    assert complaint(tmp_path, "1.yaml") == (
        "9.yaml:4: includes are nested deeper than 8 files. Include these files directly."
    )


def test_number_of_files(tmp_path: Path) -> None:
    for number in range(64):
        write(tmp_path, f"{number}.yaml", manifest(named(str(number))))
    names = [f"{number}.yaml" for number in range(64)]
    assert len(paths(write(tmp_path, "m.yaml", manifest(include=", ".join(names[:63]))))) == 63
    write(tmp_path, "m.yaml", manifest(include=", ".join(names)))
    assert complaint(tmp_path) == "m.yaml:4: more than 64 manifests are included. Put several of them into one file."


def test_what_was_read_is_told_though_its_name_leads_elsewhere_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ConfigMap is renewed by another link; ours may be renewed between any two looks at it."""
    for number in (1, 2):
        write(tmp_path, f"{number}/m.yaml", manifest(named(f"of{number}")))
    link = tmp_path / "data"
    link.symlink_to("1")
    root = tmp_path / "m.yaml"
    root.symlink_to("data/m.yaml")

    def renewing(document: object, file: str) -> Manifest:
        link.unlink()
        link.symlink_to("2")
        return validate(document, file)

    monkeypatch.setattr(load, "validate", renewing)
    wanted = load_manifests([root])
    assert [entry.model.path for entry in wanted.entries] == ["models/of1"]
    assert wanted.inputs is not None
    assert wanted.inputs.manifests == (digest((tmp_path / "1/m.yaml").read_bytes()),)
