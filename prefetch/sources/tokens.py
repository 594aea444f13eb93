"""Secrets of the environment: in a variable, or in the file that ``NAME_FILE`` names, as container secrets come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from prefetch.errors import UsageError
from prefetch.net.credentials import Secret, Token
from prefetch.volume.reading import read_file

__all__ = ["CIVITAI", "HUB", "RUNPOD", "misnamed", "name_it", "read_text", "read_token"]

HUB = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""The variables of the Hub's token, as huggingface_hub reads them; the first is the one to set, as of all these."""
CIVITAI = ("CIVITAI_API_TOKEN",)
RUNPOD = ("RUNPOD_API_KEY",)

_LIKE = {
    HUB: re.compile(r"(HF|HUGGING_?FACE)(_?(HUB|API|ACCESS|AUTH|READ|USER))*_?(TOKEN|KEY)"),
    CIVITAI: re.compile(r"CIVIT_?AI(_?(API|ACCESS|AUTH))*_?(TOKEN|KEY)"),
    # RunPod gives its workers a RUNPOD_AI_API_KEY of its own.
    RUNPOD: re.compile(r"RUNPOD(_?(API|ACCESS|AUTH))*_?(TOKEN|KEY)"),
}
"""What other programs call them."""
_LONGEST = 64 << 10
_REFERENCE = "{{ RUNPOD_SECRET_"


def read_token(environ: Mapping[str, str], names: Iterable[str]) -> Token | None:
    """The first token that one of ``names``, or a file that ``NAME_FILE`` names, gives; None where none does.

    Raises:
        UsageError: the file cannot be read, or what it holds is no token. The sentence shows nothing of it.
    """
    for name in names:
        text, found_in = read_text(environ, name)
        if not text:
            continue
        if _REFERENCE in text:
            raise UsageError(
                f"{found_in} holds the reference to a RunPod secret, and not the secret.",
                remedy="RunPod puts a secret in that it knows by this name: see to it in its console, under Secrets.",
            )
        if not (text.isascii() and text.isprintable() and " " not in text):
            raise UsageError(
                f"{found_in} holds characters that no token has.", remedy="Copy the token anew, without quotes."
            )
        return Token(Secret(text), found_in)
    return None


def misnamed(environ: Mapping[str, str], names: Sequence[str]) -> str | None:
    """A variable that is set and by its name holds the token that is looked for in ``names``, where nobody reads it."""
    like = _LIKE[tuple(names)]
    read = {spelled for name in names for spelled in (name, f"{name}_FILE")}
    alike = (name for name in sorted(environ) if like.fullmatch(name.upper().removesuffix("_FILE")))
    return next((name for name in alike if name not in read and environ[name].strip()), None)


def name_it(stranger: str, names: Sequence[str]) -> str:
    """What to do about a variable that `misnamed` found, as the beginning or the end of a sentence."""
    return f"{stranger} is set and not read: name it {names[0]}{'_FILE' if stranger.upper().endswith('_FILE') else ''}"


def read_text(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """What the variable ``name``, or else the file that ``NAME_FILE`` names, holds, and which of the two it was."""
    text = environ.get(name, "").strip()
    file = f"{name}_FILE"
    path = environ.get(file, "").strip()
    if text or not path:
        return text, name
    try:
        return read_file(path, most=_LONGEST).decode("utf-8", "replace").strip(), file
    except OSError as error:
        raise UsageError(
            f"The file that {file} names cannot be read: {error.strerror}.", remedy="Mount the secret, or unset it."
        ) from None
