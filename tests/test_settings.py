from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import UsageError
from prefetch.loading import load_settings, misspelt_variables
from prefetch.settings import (
    flag_of,
    option_names,
    option_of,
    variable_of,
)
from prefetch.values import parse_size


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in option_names():
        monkeypatch.delenv(variable_of(field), raising=False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("50M", 50_000_000),
        ("50MB", 50_000_000),
        ("100G", 100_000_000_000),
        ("1T", 10**12),
        ("1Ki", 1024),
        ("93.1Gi", 99_965_363_814),
        ("64MiB", 67_108_864),
        ("1.5 K", 1500),
        (" 2G ", 2_000_000_000),
        ("0.1G", 100_000_000),
    ],
)
def test_sizes(text: str, number: int) -> None:
    assert parse_size(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "lots",
        "-1",
        "1e9",
        "50Mb",
        "50Mbit",
        "1i",
        "1iB",
        "1KK",
        "1,5G",
        "0x10",
        "١G",
        "1" * 40,
        "1_000",
        "nan",
    ],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@given(
    st.integers(0, 10**15),
    st.sampled_from(["", "K", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]),
    st.sampled_from(["", "B"]),
)
def test_whole_sizes_are_exact(number: int, unit: str, suffix: str) -> None:
    factor = (1024 if unit.endswith("i") else 1000) ** ("_KMGT".index(unit[0]) if unit else 0)
    assert parse_size(f"{number}{unit}{suffix}") == number * factor


@given(st.text())
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        assert parse_size(text) >= 0
    except ValueError as error:
        assert str(error) == "not a size"


def test_defaults() -> None:
    settings = load_settings({})
    assert (settings.manifest, settings.volume, settings.group, settings.connections) == ((), None, (), 16)
    assert (settings.limit_rate, settings.quota, settings.json_, settings.log_format) == (None, None, False, "text")
    assert not (settings.refresh or settings.fail_fast or settings.allow_private or settings.quick)


def test_the_environment_sets_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {
        "MANIFEST": "a.yaml, /b.yaml",
        "VOLUME": "/workspace",
        "GROUP": "i2v,t2i,",
        "REFRESH": "1",
        "CONNECTIONS": "64",
        "MEMORY": "100Mi",
        "RANGE_SIZE": "32Mi",
        "LIMIT_RATE": "50M",
        "HOST_PATIENCE": "60",
        "MIN_RATE": "10K",
        "QUOTA": "100G",
        "FAIL_FAST": "true",
        "ALLOW_PRIVATE": "yes",
        "ALLOW_UNPINNED": "1",
        "LOCKED": "1",
        "UPGRADE": "*",
        "CHECK": "1",
        "NO_WAIT": "1",
        "WAIT_TIMEOUT": "1.5",
        "CLAIM_TTL": "3",
        "YES": "1",
        "REPLACED": "1",
        "BLOCKS": "1",
        "QUICK": "on",
        "ARCHIVE": "image.tar",
        "MANIFEST_OUT": "new.yaml",
        "WORKFLOW_FILES": "a.json,b.png",
        "MANIFESTS": "m.yaml",
        "CATALOG": "manifests,models.csv",
        "LOADERS": "mine.yaml",
        "OUTPUT": "out.yaml",
        "KIND": "ipadapter, sams=models/sam",
        "LAYOUT": "worker-comfyui",
        "REQUIRE_MOUNT": "1",
        "VOLUMES": "/a,/b",
        "SHELL": "bash",
        "HISTORY": "1",
        "LISTEN": "[::1]:9464",
        "LISTEN_TOKEN_FILE": "/run/token",
        "LISTEN_BASIC_FILE": "login",
        "INSECURE_LISTEN": "1",
        "LINGER": "60",
        "TEXTFILE": "/metrics/prefetch.prom",
        "PUSHGATEWAY": "https://push.example.com",
        "COMFYUI": "/comfyui",
        "MODE": "verify",
        "REQUIRE": "i2v,vae",
        "DEADLINE": "400",
        "ON_FAILURE": "continue",
        "ON_SUCCESS": "terminate",
        "MAX_HOURS": "1.5",
        "WORKFLOW": "w.json",
        "KEEP_ENV": "1",
        "SERVE": "1",
        "PRUNE": "1",
        "SCRUB": "7",
        "WEBHOOK": "https://example.com/hook",
        "WEBHOOK_SECRET_FILE": "/run/secret",
        "POLL": "30",
        "DATA_CENTER": "eu-ro-1,US-KS-2",
        "VOLUME_ID": "abc,US-KS-2=def",
        "CREATE": "comfy-models",
        "VOLUME_SIZE": "50G",
        "IMAGE": "you/prefetch:1",
        "REGISTRY": "clx1",
        "SECRET": "HF_TOKEN=hf",
        "PASS_ENV": "PREFETCH_TOKENS",
        "CPU": "cpu5c",
        "VCPU": "4",
        "COMMAND": "/start.sh,-v",
        "JSON": "1",
        "LOG_FORMAT": "json",
    }
    for name, value in written.items():
        monkeypatch.setenv(f"PREFETCH_{name}", value)
    expected: dict[str, Any] = {
        "manifest": (Path("a.yaml"), Path("/b.yaml")),
        "volume": Path("/workspace"),
        "group": ("i2v", "t2i"),
        "connections": 64,
        "memory": 100 << 20,
        "range_size": 32 << 20,
        "limit_rate": 50_000_000,
        "host_patience": 60.0,
        "min_rate": 10_000,
        "quota": 100_000_000_000,
        "wait_timeout": 1.5,
        "claim_ttl": 3.0,
        "listen": {"host": "::1", "port": 9464},
        "listen_token_file": Path("/run/token"),
        "listen_basic_file": Path("login"),
        "linger": 60.0,
        "textfile": Path("/metrics/prefetch.prom"),
        "pushgateway": "https://push.example.com",
        "log_format": "json",
        "upgrade": "*",
        "comfyui": Path("/comfyui"),
        "mode": "verify",
        "require": ("i2v", "vae"),
        "deadline": 400.0,
        "on_failure": "continue",
        "on_success": "terminate",
        "on_failed": None,
        "max_hours": 1.5,
        "workflow": (Path("w.json"),),
        "keep_env": True,
        "serve": True,
        "prune": True,
        "scrub": 7.0,
        "webhook": "https://example.com/hook",
        "webhook_secret_file": Path("/run/secret"),
        "poll": 30.0,
        "data_center": ("EU-RO-1", "US-KS-2"),
        "volume_id": ({"id": "abc", "data_center": None}, {"id": "def", "data_center": "US-KS-2"}),
        "create": "comfy-models",
        "volume_size": 50,
        "image": "you/prefetch:1",
        "registry": "clx1",
        "secret": ({"variable": "HF_TOKEN", "secret": "hf"},),
        "pass_env": ("PREFETCH_TOKENS",),
        "cpu": "cpu5c",
        "vcpu": 4,
        "command": ("/start.sh", "-v"),
        "archive": (Path("image.tar"),),
        "manifest_out": Path("new.yaml"),
        "workflow_files": (Path("a.json"), Path("b.png")),
        "manifests": (Path("m.yaml"),),
        "catalog": (Path("manifests"), Path("models.csv")),
        "loaders": (Path("mine.yaml"),),
        "output": Path("out.yaml"),
        "kind": ({"kind": "ipadapter", "folder": "models/ipadapter"}, {"kind": "sams", "folder": "models/sam"}),
        "layout": "worker-comfyui",
        "require_mount": True,
        "volumes": (Path("/a"), Path("/b")),
        "shell": ("bash",),
        **dict.fromkeys(("refresh", "fail_fast", "allow_private", "quick", "json_"), True),
        **dict.fromkeys(("allow_unpinned", "locked", "check", "no_wait", "yes", "replaced", "blocks"), True),
        **dict.fromkeys(("history", "insecure_listen"), True),
    }
    assert asdict(load_settings({})) == expected


def test_the_command_line_wins_and_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GROUP": "i2v", "CONNECTIONS": "4", "QUOTA": "", "JSON": "0", "VOLUME": "/env"}.items():
        monkeypatch.setenv(f"PREFETCH_{name}", value)
    settings = load_settings({"group": ["t2i", "vae"], "connections": "8", "json_": True, "manifest": ["a,b.yaml"]})
    assert settings.group == ("t2i", "vae")
    assert (settings.connections, settings.quota, settings.json_, settings.volume) == (8, None, True, Path("/env"))
    assert settings.manifest == (Path("a,b.yaml"),)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"quota": "lots"}, "--quota lots is not a size in bytes above 0. Write for example: --quota 100G"),
        ({"quota": "0"}, "--quota 0 is not a size in bytes above 0. Write for example: --quota 100G"),
        (
            {"limit_rate": "50Mb"},
            "--limit-rate 50Mb is not a number of bytes a second above 0. Write for example: --limit-rate 50M",
        ),
        (
            {"connections": "65"},
            "--connections 65 is not a whole number from 1 to 64. Write for example: --connections 16",
        ),
        (
            {"connections": "0"},
            "--connections 0 is not a whole number from 1 to 64. Write for example: --connections 16",
        ),
        ({"log_format": "xml"}, "--log-format xml is not one of text, json. Write for example: --log-format json"),
        ({"volume": ""}, "--volume '' is not a directory's path. Write for example: --volume /workspace"),
        ({"manifest": ["a.yaml", " "]}, "MANIFEST '' is not a file's path. Write for example: models.yaml"),
        (
            {"data_center": ["EU-RO-1,nowhere"]},
            "--data-center nowhere is not a data center of RunPod's. Write for example: --data-center EU-RO-1",
        ),
        ({"vcpu": "3"}, "--vcpu 3 is not a power of two from 2 to 32. Write for example: --vcpu 4"),
        ({"group": [""]}, "--group '' is not a group's name. Write for example: --group i2v"),
        (
            {"quota": "a\x1b[2J\nb"},
            r"--quota 'a\x1b[2J\nb' is not a size in bytes above 0. Write for example: --quota 100G",
        ),
    ],
)
def test_a_bad_option_is_named_as_written(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(given)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("QUOTA", "5X", "PREFETCH_QUOTA=5X is not a size in bytes above 0. Write for example: PREFETCH_QUOTA=100G"),
        ("JSON", "maybe", "PREFETCH_JSON=maybe is not 1 or 0. Write for example: PREFETCH_JSON=1"),
        ("FAIL_FAST", "2", "PREFETCH_FAIL_FAST=2 is not 1 or 0. Write for example: PREFETCH_FAIL_FAST=1"),
        ("VOLUME", "  ", "PREFETCH_VOLUME='' is not a directory's path. Write for example: PREFETCH_VOLUME=/workspace"),
    ],
)
def test_a_bad_variable_is_named_as_written(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"PREFETCH_{name}", value)
    with pytest.raises(UsageError) as caught:
        load_settings({})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "secret",
    ["hf_abcdefghijklmnop", "rpa_0123456789", "0123456789abcdef0123456789abcdef", "https://u:pw@host/x?sig=abc"],
)
def test_a_secret_in_the_wrong_place_is_not_echoed(secret: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({"quota": secret})
    assert secret not in str(caught.value)
    assert "pw" not in str(caught.value) and "sig" not in str(caught.value)


@pytest.mark.parametrize("field", option_names())
def test_every_option_is_described_and_its_example_works(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    option = option_of(field)
    assert option.help and option.kind.expects
    monkeypatch.setenv(variable_of(field), option.kind.example)
    assert getattr(load_settings({}), field) not in (None, (), False)


def test_names() -> None:
    assert (flag_of("limit_rate"), variable_of("limit_rate")) == ("--limit-rate", "PREFETCH_LIMIT_RATE")
    assert (flag_of("json_"), variable_of("json_")) == ("--json", "PREFETCH_JSON")


def test_misspelt_variables_are_noticed_and_others_left_alone() -> None:
    environ = dict.fromkeys(
        ["PREFETCH_QUOTTA", "PREFETCH_LIMITRATE", "PREFETCH_DEBUG", "PREFETCH_QUOTA", "PREFETCH_X"], ""
    )
    assert misspelt_variables(environ) == [
        ("PREFETCH_LIMITRATE", "PREFETCH_LIMIT_RATE"),
        ("PREFETCH_QUOTTA", "PREFETCH_QUOTA"),
    ]


@pytest.mark.parametrize(
    ("text", "of_hook", "of_run"),
    [("continue", "continue", None), ("stop", "abort", "stop"), ("", "abort", None)],
)
def test_two_commands_share_a_variable_and_each_takes_what_it_knows(
    text: str, of_hook: str, of_run: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFETCH_ON_FAILURE", text)
    settings = load_settings({})
    assert (settings.on_failure, settings.on_failed) == (of_hook, of_run)


def test_what_neither_of_two_commands_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFETCH_ON_FAILURE", "explode")
    with pytest.raises(UsageError, match="PREFETCH_ON_FAILURE=explode is not one of abort, continue"):
        load_settings({})
