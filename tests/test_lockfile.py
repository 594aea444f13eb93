"""The form of a lock: read back as it was written, the same bytes in any order, and no part of it believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import ManifestError
from prefetch.lockfile import Lock, LockedModel, parse_lock

GOOD: dict[str, Any] = {
    "path": "models/vae/a.safetensors",
    "source": "hf://acme/models/a.safetensors",
    "url": f"https://huggingface.co/acme/models/resolve/{'1' * 40}/a.safetensors",
    "commit": "1" * 40,
    "size": 7,
    "sha256": "a" * 64,
}

names = st.text("abcdé_-", min_size=1, max_size=8)
models = st.builds(
    lambda name, size, digit, commit: LockedModel(
        f"models/{name}.bin", f"hf://acme/models/{name}.bin", None, commit, size, digit * 64
    ),
    names,
    st.integers(0, 2**53),
    st.sampled_from("0123456789abcdef"),
    st.sampled_from([None, "0" * 40]),
)


@given(st.lists(models, unique_by=lambda model: model.path), st.randoms())
def test_a_lock_comes_back_and_has_one_form(chosen: list[LockedModel], random: Any) -> None:
    data = Lock.of(chosen).to_bytes()
    assert parse_lock(data, file="m.lock.json") == Lock.of(chosen)
    random.shuffle(chosen)
    assert Lock.of(chosen).to_bytes() == data


def test_a_changed_model_is_a_diff_of_its_own_lines() -> None:
    other = {**GOOD, "path": "models/b", "sha256": "b" * 64}
    before = Lock.of([LockedModel(**GOOD), LockedModel(**other)]).to_bytes().splitlines()
    after = Lock.of([LockedModel(**GOOD), LockedModel(**{**other, "sha256": "c" * 64})]).to_bytes().splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../up"},
        {"path": "/etc/passwd"},
        {"path": ".prefetch/x"},
        {"source": "ftp://host/x"},
        {"sha256": "A" * 64},
        {"sha256": "a" * 63},
        {"commit": "main"},
        {"size": -1},
        {"size": True},
        {"size": "7"},
        {"url": 3},
        {"size": 10**400},
        {"size": 2**64},
        *({field: "\ud800"} for field in ("path", "source", "url", "commit", "sha256")),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    data = json.dumps({"version": 1, "models": [{**GOOD, **change}]}).encode()
    with pytest.raises(ManifestError, match=r"m\.lock\.json"):
        parse_lock(data, file="m.lock.json")


@pytest.mark.parametrize(
    "change",
    [{"include": ["\ud800"]}, {"exclude": ["\udfff"]}, {"path": "\ud800"}, {"source": "\ud800"}, {"include": [1]}],
)
def test_a_directory_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    directory = {"path": "models/F/", "source": "hf://m/F@main/", "include": [], "exclude": [], **change}
    data = json.dumps({"version": 1, "models": [], "directories": [directory]}).encode()
    with pytest.raises(ManifestError, match=r"directories\[0\] is not whole"):
        parse_lock(data, file="m.lock.json")


def test_a_path_may_stand_once() -> None:
    with pytest.raises(ManifestError, match="twice"):
        parse_lock(json.dumps({"version": 1, "models": [GOOD, GOOD]}).encode(), file="m.lock.json")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_lock_are_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(ManifestError):
        parse_lock(data, file="m.lock.json")
