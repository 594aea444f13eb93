"""Writes the tables of keys in docs/manifest.md from the manifest's JSON Schema: ``python docs/make_manifest.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from prefetch.manifest import manifest_schema

__all__ = ["page"]

TARGET = Path(__file__).with_name("manifest.md")
TABLE = re.compile(r"(<!-- keys of (\w+) -->\n).*?(?=<!-- end of keys -->)", re.DOTALL)


def page() -> str:
    """The page with its tables made anew."""
    schema = manifest_schema()
    forms = {"Manifest": schema, **schema["$defs"]}
    written = TARGET.read_text(encoding="utf-8")
    return TABLE.sub(lambda found: found[1] + _table(forms[found[2]]), written)


def _table(form: dict[str, Any]) -> str:
    head = ["| key | | what it is | example |", "|---|---|---|---|"]
    rows = (_row(key, about, required=key in form["required"]) for key, about in form["properties"].items())
    return "\n".join([*head, *rows, ""])


def _row(key: str, about: dict[str, Any], *, required: bool) -> str:
    examples = about.get("examples") or ([about["const"]] if "const" in about else [])
    example = f"`{json.dumps(examples[0])}`" if examples else ""
    return f"| `{key}` | {'required' if required else ''} | {about['description']} | {example} |"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
