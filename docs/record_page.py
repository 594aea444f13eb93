"""Takes docs/page-*.webp from a real run: ``python docs/record_page.py``. Needs root and Debian's chromium.

Two hosts fill one volume from the demonstration's origin, each connection paced. One model is not at the origin, one is
fetched by the other host.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from prefetch.demo.seeds import REPO, TOKEN, seed_repo, seed_set
from prefetch.demo.server import running_origin
from prefetch.demo.wire import Link

TOTAL = 1_200_000_000
PACE = 3_000_000
SHARE = 0.36
TARGET = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
PACK = """async (png) => {
    const image = new Image();
    image.src = "data:image/png;base64," + png;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.9);
}"""
LOOKS: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 390, "height": 10}, "color_scheme": "dark", "is_mobile": True},
    "light": {"viewport": {"width": 1040, "height": 10}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1040, "height": 10}, "color_scheme": "dark"},
}


def main() -> None:
    """Run, look, and write the pictures."""
    seeds = seed_set(TOTAL)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        link = Link(pace=PACE)
        origin = stack.enter_context(running_origin(repos=[seed_repo(seeds)], tokens={TOKEN: "demo"}, link=link))
        entries = [entry(seed.path, sha256=seed.content.sha256, size=seed.content.size) for seed in seeds]
        env = {**os.environ, "HF_ENDPOINT": origin.endpoint, "HF_TOKEN": TOKEN, "HOME": str(folder)}
        other = manifest(folder / "other.yaml", entries[2:3])
        stack.enter_context(host("pod-b", "run", other, "--limit-rate", "9M", folder=folder, env=env))
        until(lambda: any((folder / "volume" / ".prefetch").glob("partial/*.journal")))
        own = manifest(folder / "own.yaml", [*entries, entry("loras/detail-enhancer.safetensors")])
        words = ("run", own, "--listen", "127.0.0.1:0", "--quota", "2G")
        process = stack.enter_context(host("pod-a", *words, folder=folder, env=env))
        assert process.stderr is not None
        url = next(found[1] for line in process.stderr if (found := re.search(r"on (http://\S+)", line)))
        browser = stack.enter_context(chromium())
        pages = {name: browser.new_page(**look) for name, look in LOOKS.items()}
        for page in pages.values():
            page.goto(url)
        bar = pages["light"].locator("#total progress")
        until(lambda: bar.evaluate("bar => bar.position") > SHARE)
        pictures = {name: page.screenshot(full_page=True) for name, page in pages.items()}
        for name, picture in pictures.items():
            (TARGET / f"page-{name}.webp").write_bytes(packed(picture, browser))


def entry(path: str, **known: Any) -> dict[str, Any]:
    """A model of the demonstration's repository."""
    return {"path": f"models/{path}", "source": f"hf://{REPO}/{path}", **known}


def manifest(path: Path, entries: list[dict[str, Any]]) -> Path:
    """The file, written."""
    path.write_text(json.dumps({"version": 1, "models": entries}))
    return path


@contextmanager
def host(name: str, *words: str | Path, folder: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """``prefetch`` on a host of this name, killed at the end."""
    apart = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [sys.executable, "-m", "prefetch", *map(str, words), "--volume", str(folder / "volume")]
    with subprocess.Popen(
        [*apart, "sh", "-c", 'hostname "$0" && exec "$@"', name, *command],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's own browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-lcd-text"])
        yield browser
        browser.close()


def packed(picture: bytes, browser: Browser) -> bytes:
    """The picture as WebP, which takes a third of the room of PNG."""
    url = browser.new_page().evaluate(PACK, b64encode(picture).decode())
    return b64decode(url.partition(",")[2])


def until(condition: Any) -> None:
    """Wait until it is so."""
    while not condition():
        time.sleep(0.05)


if __name__ == "__main__":
    main()
