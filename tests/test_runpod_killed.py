"""``prefetch runpod populate`` killed by SIGKILL and run again: never a pod left, never two at once."""

from __future__ import annotations

from tests.support.models import wanted
from tests.support.pods import finishing
from tests.support.populates import Populates, result_document

MODELS = wanted(6_000_000, 5_000_000, 70_000)
OPTIONS = ("--data-center", "EU-RO-1", "--create", "comfy", "--size", "20")


def test_killed_at_every_call_that_changes_something(populates: Populates) -> None:
    runpod = populates.runpod
    runpod.job = finishing(result_document(MODELS))
    assert populates.run(*OPTIONS).returncode == 0
    changing = [number for number, call in enumerate(runpod.calls, start=1) if call.method != "GET"]
    assert [runpod.calls[number - 1].method for number in changing] == ["POST", "POST", "DELETE"]
    for number in changing:
        for after in (False, True):
            runpod.volumes.clear()
            kill_at(populates, number, after=after)
            again = populates.run(*OPTIONS)
            assert again.returncode == 0, again.stderr
            assert runpod.pods == {}, (number, after)
            assert len(runpod.volumes) == 1, (number, after)
    assert runpod.most_at_once == 1


def kill_at(populates: Populates, number: int, *, after: bool) -> None:
    """Kill it at its n-th request: before the request's effect, or after it and before its answer."""
    numbers: list[int] = []

    def watch(request: int) -> None:
        again = request in numbers
        if not again:
            numbers.append(request)
        if numbers.index(request) + 1 == number and again == after:
            process.kill()

    populates.runpod.watch = watch
    with populates.start(*OPTIONS) as process:
        process.wait(timeout=60)
    populates.runpod.watch = lambda request: None


def test_what_is_left_is_listed_and_removed_and_nothing_else(populates: Populates) -> None:
    runpod = populates.runpod
    with populates.at_work(*OPTIONS) as process:
        process.kill()
    (left,) = runpod.pods
    mine, named = runpod.add_pod(name="my-comfyui"), runpod.add_pod(name="prefetch-populate-by-hand")
    listed = populates.clean()
    assert listed.returncode == 0, listed.stderr
    found = {pod["id"]: pod["status"] for pod in listed.document["pods"]}
    assert found == {left: "removable", named.id: "kept"}
    assert left in runpod.pods
    done = populates.clean("--yes")
    assert {pod["id"]: pod["status"] for pod in done.document["pods"]} == {left: "removed", named.id: "kept"}
    assert set(runpod.pods) == {mine.id, named.id}
    text = populates.commands.run("runpod", "clean", env={**populates.environment(), "PREFETCH_JSON": "0"})
    assert text.stdout.startswith(f"kept       {named.id} prefetch-populate-by-hand in ?:")
    assert len(runpod.volumes) == 1


def test_a_pod_that_cannot_be_removed_is_told(populates: Populates) -> None:
    runpod = populates.runpod
    left = runpod.add_pod(name="x", env={"PREFETCH_INTENT": "a" * 32})
    runpod.trouble("DELETE", f"/v2/pods/{left.id}", status=403)
    done = populates.clean("--yes")
    assert done.returncode == 3
    assert [pod["status"] for pod in done.document["pods"]] == ["failed"]


def test_a_pod_of_something_else_on_the_volume_is_told(populates: Populates) -> None:
    runpod = populates.runpod
    runpod.job = finishing(result_document(MODELS))
    volume = populates.volume()
    mounts = {"network": [{"volumeId": volume, "path": "/runpod-volume"}]}
    other = runpod.add_pod(name="prefetch-populate-EU-RO-1", env={"PREFETCH_INTENT": "b" * 32}, mounts=mounts)
    done = populates.run("--volume-id", volume)
    assert done.returncode == 0, done.stderr
    assert f"warning: pod {other.id} of another populate is on the volume {volume}" in done.stderr
    assert list(runpod.pods) == [other.id]
