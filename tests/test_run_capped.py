"""Under a cap: small models end early, a stop costs little, and no line of progress tells of more than the cap."""

from __future__ import annotations

import json
import signal

from tests.support.models import BLOCK, Wanted, wanted
from tests.support.runs import Runs, until

MODELS = wanted(25 * BLOCK, 25 * BLOCK + 1, 2 * BLOCK)
SMALL: Wanted = MODELS[2]
TOTAL = sum(model.content.size for model in MODELS)
CAP = 8_000_000
CONNECTIONS = 3
"""As many as finish a block of 4 MiB every two seconds at that cap."""


def test_a_small_model_ends_early_and_a_stop_costs_a_block_a_connection(runs: Runs) -> None:
    with runs.start("--limit-rate", "8M", "--log-format", "json") as process:
        until((runs.volume / SMALL.path).exists, "the small model", process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    first = json.loads(stdout)
    assert first["bytes_downloaded"] <= 5 * SMALL.content.size, "it had a third of the cap from the beginning on"
    events = [json.loads(line) for line in stderr.splitlines()]
    speeds = [event["speed"] for event in events if event["event"] == "progress"]
    assert speeds
    assert all(0 < speed <= CAP * 1.05 for speed in speeds)
    assert speeds[0] <= CAP
    second = runs.run()
    assert second.returncode == 0, second.stderr
    lost = first["bytes_downloaded"] + second.document["bytes_downloaded"] - TOTAL
    assert lost <= CONNECTIONS * BLOCK
