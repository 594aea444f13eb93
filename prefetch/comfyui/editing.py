"""A manifest's text, with entries added and everything a person wrote in it kept: comments, order, quotes."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from prefetch.comfyui.entries import Draft, Open
from prefetch.errors import UsageError
from prefetch.manifest.comments import BEGIN, BLOCK, END

__all__ = ["edited", "new_text", "write_text"]

_FIRST = f"{BEGIN}uncomment and write a source, or leave it. The next 'workflow manifest' writes this anew."
_ITEM = re.compile(
    r"^# +# [^\n]*; wanted by [^\n]*\n# +- path: [^\n]*\n# +source:\n(?:# +node_path: [^\n]*\n)?", re.MULTILINE
)
"""What `_comment` writes, as long as nobody has changed it."""
_PLAIN = re.compile(r"[\w.+()/-]+( [\w.+()/-]+)*")
_DASH = re.compile(r"^( *)-( +)\S", re.MULTILINE)


def new_text(draft: Draft, workflows: Sequence[str]) -> str:
    """A manifest of its own for these workflows."""
    names = ", ".join(Path(name).name for name in workflows)
    return edited(f"# What these workflows load: {_one_line(names)}\nversion: 1\n", draft)


def edited(text: str, draft: Draft) -> str:
    """``text``, a valid manifest, with the draft's entries at the end and what is open below them as comments."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq

    bare = BLOCK.sub(_what_a_person_wrote, text)
    dash = _DASH.search(bare)
    offset = len(dash[1]) if dash else 2
    if draft.entries or "\nmodels:" not in f"\n{bare}":
        yaml = YAML(typ="rt")
        yaml.preserve_quotes, yaml.width = True, 4096
        yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
        document = yaml.load(bare)
        if draft.entries:
            document["models"] = document.get("models") or CommentedSeq()
            document["models"].extend(dict(entry) for entry in draft.entries)
        else:
            # Left empty, so that the first entry uncommented below it stands in its place.
            document["models"] = None
        out = io.StringIO()
        yaml.dump(document, out)
        bare = out.getvalue()
    if not draft.open:
        return bare
    comments = [line for item in draft.open for line in _comment(item, " " * offset)]
    return "\n".join([bare.rstrip("\n"), "", _FIRST, *comments, END, ""])


def _what_a_person_wrote(block: re.Match[str]) -> str:
    """Of a block of what was not resolved: the entries that were uncommented or changed, and any other line."""
    inner = block[0].partition("\n")[2].removesuffix(END)
    return _ITEM.sub("", inner).rstrip("\n")


def _comment(item: Open, indent: str) -> Iterable[str]:
    yield f"# {indent}# {_one_line(item.reason)}; wanted by {_one_line(', '.join(item.wanted_by))}"
    yield f"# {indent}- path: {_scalar(item.path or f'models/FOLDER/{item.name}')}"
    yield f"# {indent}  source:"
    if item.node_path:
        yield f"# {indent}  node_path: {_scalar(item.node_path)}"


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(_one_line(text), ensure_ascii=False)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:500]


def write_text(path: Path, text: str) -> None:
    """Put the text in the file's place, whole or not at all; into a pipe or a device, as into any.

    Raises:
        UsageError: it cannot be written there.
    """
    try:
        # A link stays a link, and what is no file is never replaced by one.
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path.resolve(), text)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "its links run in a circle"
        raise UsageError(f"{path} cannot be written: {reason}.", remedy="Check its folder and rights.") from None


def _replace(target: Path, text: str) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
