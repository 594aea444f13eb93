"""The commands that use RunPod's API."""

from __future__ import annotations

from prefetch.commands.table.command import Command
from prefetch.commands.table.options import OUTPUT

__all__ = ["RUNPOD"]

RUNPOD: tuple[Command, ...] = (
    Command(
        name="runpod populate",
        help="fill network volumes by pods that are made for it and removed again",
        about="Checks the sizes from the lock, makes the network volume if asked to, tells what it will cost and asks, "
        "then has a CPU pod with the volume fetch the models, follows it, and removes the pod however it ends. Several "
        "data centers are filled at once. Needs RUNPOD_API_KEY. Run again after a crash, it goes on with the pod that "
        "is there.",
        options=(
            "manifest",
            "data_center",
            "volume_id",
            "create",
            "volume_size",
            "image",
            "registry",
            "secret",
            "pass_env",
            "cpu",
            "vcpu",
            "max_hours",
            "group",
            "layout",
            "yes",
            "allow_private",
            *OUTPUT,
        ),
        examples=(
            (
                "prefetch runpod populate m.yaml --data-center EU-RO-1 --create comfy --size 50",
                "make it",
            ),
            (
                "prefetch runpod populate m.yaml --volume-id EU-RO-1=abc,US-KS-2=def",
                "two at once",
            ),
            (
                "prefetch runpod populate m.yaml --volume-id abc --secret HF_TOKEN=hf_token",
                "with a token",
            ),
        ),
        load="prefetch.commands.runpod_populate:main",
        resumes=True,
    ),
    Command(
        name="runpod clean",
        help="remove pods that populate has left",
        about="Lists the pods that carry the mark of prefetch runpod populate, and asks whether to remove them. A pod "
        "that another populate is following right now is among them: see its age. Volumes are not touched.",
        options=("yes", *OUTPUT),
        examples=(
            ("prefetch runpod clean", "list and ask"),
            ("prefetch runpod clean --yes", "remove all of them"),
        ),
        load="prefetch.commands.runpod_clean:main",
    ),
)
