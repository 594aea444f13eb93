"""The parts of `runpod populate` that ask nobody: what was meant, what it costs, what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prefetch.errors import PrefetchError, SpaceError, UsageError
from prefetch.quoting import populated, quote
from prefetch.runpod.answers import Flavor, Volume
from prefetch.runpod.intent import PodRequest
from prefetch.runpod.options import (
    SecretFor,
    VolumeAt,
    parse_data_center,
    parse_gigabytes,
    parse_image,
    parse_secret,
    parse_variable,
    parse_volume,
)
from prefetch.runpod.prices import candidates, dollars, guessed_hours, monthly
from prefetch.runpod.signs import result_in
from prefetch.runpod.site import Filled, Plot, VolumeWanted
from prefetch.shipment import Shipment
from prefetch.sites import Asked, check_room, volumes_by_center
from prefetch.sources.tokens import read_token

A = Volume("va", "models", 50, "EU-RO-1")
B = Volume("vb", "models", 50, "US-KS-2")
C = Volume("vc", "other", 50, "EU-RO-1")


@pytest.mark.parametrize(
    ("centers", "volumes", "create", "size", "says"),
    [
        ([], [], None, None, "No volume was named."),
        (["EU-RO-1"], [], None, None, "No volume was named for EU-RO-1. Its volumes: va (models), vc (other)."),
        (["CA-MTL-1"], [], None, None, "No volume was named for CA-MTL-1. It has none"),
        (["CA-MTL-1"], [], "comfy", None, "how large it is to be was not said"),
        ([], [], "comfy", 50, "--create needs a data center"),
        ([], [VolumeAt("va", "US-KS-2")], None, None, "is in EU-RO-1, not in US-KS-2"),
        (["US-KS-2"], [VolumeAt("va")], None, None, "not among --data-center"),
        ([], [VolumeAt("va"), VolumeAt("vc")], None, None, "Two volumes in EU-RO-1 were named"),
        ([], [VolumeAt("va")], None, 50, "--size is for a volume that is made"),
    ],
)
def test_what_makes_no_sense(
    centers: list[str], volumes: list[VolumeAt], create: str | None, size: int | None, says: str
) -> None:
    asked = Asked(centers, volumes, create, size)
    with pytest.raises(UsageError) as caught:
        asked.check()
        volumes_by_center(asked, [A, B, C])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked([], [VolumeAt("vb"), VolumeAt("va", "EU-RO-1")], None, None), {"US-KS-2": B, "EU-RO-1": A}),
        (Asked(["EU-RO-1", "US-KS-2"], [VolumeAt("vb"), VolumeAt("va")], None, None), {"EU-RO-1": A, "US-KS-2": B}),
        (Asked(["EU-RO-1"], [], "models", None), {"EU-RO-1": A}),
        (
            Asked(["EU-RO-1", "CA-MTL-1"], [VolumeAt("vc")], "models", 80),
            {"EU-RO-1": C, "CA-MTL-1": VolumeWanted("models", 80)},
        ),
    ],
)
def test_which_volume_is_meant(asked: Asked, expected: dict[str, Volume | VolumeWanted]) -> None:
    asked.check()
    found = volumes_by_center(asked, [A, B, C])
    assert found == expected
    assert list(found) == list(expected)


def test_room_is_that_of_the_allocated_size() -> None:
    check_room({"EU-RO-1": A}, 50 * 10**9)
    with pytest.raises(SpaceError, match=r"50.0 GB, which is more than the volume in EU-RO-1 \(50 GB\)"):
        check_room({"EU-RO-1": A, "US-KS-2": VolumeWanted("x", 60)}, 50 * 10**9 + 1)


@pytest.mark.parametrize(
    ("cpus", "only", "expected"),
    [
        (2, None, ["cheap", "high", "low"]),
        (16, None, ["high", "low"]),
        (2, "empty", ["empty"]),
        (2, "nope", []),
    ],
)
def test_which_pods_are_tried(cpus: int, only: str | None, expected: list[str]) -> None:
    flavors = [
        Flavor("low", 2, 32, 0.04, {"EU-RO-1": "LOW"}),
        Flavor("high", 2, 32, 0.04, {"EU-RO-1": "HIGH"}),
        Flavor("cheap", 2, 8, 0.03, {"EU-RO-1": "LOW"}),
        Flavor("empty", 2, 32, 0.01, {"EU-RO-1": "NONE"}),
        Flavor("elsewhere", 2, 32, 0.01, {"US-KS-2": "HIGH"}),
    ]
    assert [flavor.id for flavor in candidates(flavors, "EU-RO-1", cpus=cpus, only=only)] == expected


def test_prices() -> None:
    assert (monthly(50), monthly(1000), monthly(2000)) == (3.5, 70.0, 120.0)
    assert (dollars(0), dollars(0.0123), dollars(3.5)) == ("$0.00", "$0.0123", "$3.50")
    assert guessed_hours(36 * 10**9) == pytest.approx((120 + 360) / 3600)


@pytest.mark.parametrize("text", ["", "EU", "eu ro 1", "EU-RO-1=", "=x", "EU-RO-1=a/b", "a b", "x" * 99])
def test_what_is_no_volume_or_data_center(text: str) -> None:
    with pytest.raises(ValueError, match="form"):
        parse_volume(text) if "=" in text or "x" in text or " b" in text else parse_data_center(text)


def test_what_is_written_for_runpod() -> None:
    assert parse_data_center(" eu-ro-1 ") == "EU-RO-1"
    assert parse_volume("us-ks-2=abc") == VolumeAt("abc", "US-KS-2")
    assert parse_secret("HF_TOKEN=hf") == SecretFor("HF_TOKEN", "hf")
    assert parse_secret("HF_TOKEN").reference == "{{ RUNPOD_SECRET_HF_TOKEN }}"
    for image in ("you/prefetch", "localhost:5000/a/b:1.0", "ghcr.io/you/prefetch@sha256:" + "a" * 64, "ubuntu"):
        assert parse_image(image) == image
    for wrong in ("", "a b", "https://ghcr.io/you/prefetch", "you/prefetch:", "you/pre\nfetch", "-x"):
        with pytest.raises(ValueError, match="form"):
            parse_image(wrong)
    for token in ("hf_" + "a" * 34, "rpa_" + "A1" * 12):
        with pytest.raises(ValueError, match="token"):
            parse_secret(f"HF_TOKEN={token}")
    assert [parse_gigabytes(text) for text in ("50", "50G", "50 GB")] == [50, 50, 50]
    for wrong in ("5", "9999", "50M", "lots"):
        with pytest.raises(ValueError, match="size"):
            parse_gigabytes(wrong)
    for wrong in ("HF_TOKEN=hf_value", "a-b", "", "1A"):
        with pytest.raises(ValueError, match="form"):
            parse_variable(wrong)


def test_a_reference_that_nobody_resolved_is_no_token() -> None:
    with pytest.raises(UsageError, match="HF_TOKEN holds the reference to a RunPod secret"):
        read_token({"HF_TOKEN": SecretFor("HF_TOKEN", "hf").reference}, ("HF_TOKEN",))


def test_an_intent_is_the_same_on_any_kind_of_pod_and_another_for_anything_else() -> None:
    request = PodRequest("EU-RO-1", "va", "image", "run", {"A": "b"}, cpus=2)
    assert request.intent == request.of("cpu5c").intent == replace(request, cpus=8).intent
    changes: list[dict[str, Any]] = [{"volume_id": "vb"}, {"image": "x"}, {"args": "x"}, {"environment": {"A": "c"}}]
    assert len({request.intent, *(replace(request, **change).intent for change in changes)}) == 5
    assert "A" not in repr(request)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('PREFETCH_RESULT {"exit_code": 0}', {"exit_code": 0}),
        ('PREFETCH_RESULT {"exit_code": 4, "x": 1}', {"exit_code": 4, "x": 1}),
        ('2026-01-01T00:00:00Z stderr PREFETCH_RESULT {"exit_code": 0}', {"exit_code": 0}),
        ('PREFETCH_RESULT {"exit_code": 130}', None),
        ('PREFETCH_RESULT {"exit_code": "0"}', None),
        ("PREFETCH_RESULT [0]", None),
        ("PREFETCH_RESULT {", None),
        ("PREFETCH_RESULT " + "[" * 99999, None),
        ('{"exit_code": 0}', None),
    ],
)
def test_which_line_is_the_result(line: str, expected: object) -> None:
    assert result_in(line) == expected


def test_what_is_agreed_to() -> None:
    shipment = Shipment(7, 36 * 10**9, {})

    def request(volume: Volume) -> PodRequest:
        raise AssertionError

    plots = [
        Plot("EU-RO-1", A, ["cpu3c"], 0.06, 6.0, request),
        Plot("US-KS-2", VolumeWanted("comfy", 50), ["cpu5c", "cpu3c"], 0.08, 6.0, request),
    ]
    assert quote(plots, shipment) == [
        "7 models, 36.0 GB, to each of these volumes:",
        "  EU-RO-1: volume va (models, 50 GB); pod cpu3c at $0.0600 an hour",
        "  US-KS-2: a new volume comfy of 50 GB; pod cpu5c at $0.0800 an hour",
        "the pods: about $0.0187 in all, for 8m00s at a guessed 100.0 MB/s; less for what is there already",
        "new volumes: $3.50 a month, for as long as they exist, by RunPod's published price",
    ]


def test_the_table_takes_whatever_a_pod_has_written() -> None:
    strange = {"exit_code": 1, "error": "no object", "models": [7, {"path": "a\x1b[2J", "status": "failed"}]}
    filled = [
        Filled("EU-RO-1", A, pod_id="p", flavor="cpu3c", price=0.06, hours=0.5, result=strange),
        Filled("US-KS-2", error=SpaceError("It is full.")),
        Filled("CA-MTL-1", B, result={"exit_code": 0, "models": "none", "models_left_out": 9}),
    ]
    outcome = populated(filled, seconds=1.0)
    assert outcome.exit_code == 4
    assert "\x1b" not in outcome.text
    rows = outcome.text.splitlines()
    assert rows[0].startswith("FAILED  EU-RO-1") and "cpu3c 30m00s, $0.0300" in rows[0]
    assert "no volume" in rows[1] and "It is full." in rows[1]
    assert rows[2].startswith("done") and "9 all well" in rows[2]
    assert '"bytes_downloaded": 0' in outcome.to_json()
    alone = populated(filled[1:2], seconds=1.0).error
    assert isinstance(alone, PrefetchError) and alone.message == "It is full."
