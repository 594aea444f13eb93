"""Writes docs/settings.md from the settings themselves: ``python docs/make_settings.py``."""

from __future__ import annotations

from pathlib import Path

from prefetch.commands.table import COMMANDS
from prefetch.settings import default_of, flag_of, option_names, option_of, variable_of

__all__ = ["page"]

TARGET = Path(__file__).with_name("settings.md")

INTRODUCTION = """\
# Settings

Every option can be given on the command line or in the environment. The command line wins; an empty variable counts as
not set. This page is written by `python docs/make_settings.py`; `prefetch COMMAND --help` says the same.

- **Sizes** are bytes: `K`, `M`, `G`, `T` are powers of 1000, `Ki`, `Mi`, `Gi`, `Ti` of 1024. Rates are bytes a second.
- **Lists** in a variable have commas: `PREFETCH_GROUP=i2v,upscale`. On the command line the option is given again.
- **Switches** in a variable are `1` or `0`.
- A variable that begins with `PREFETCH_` and is nearly one of these is named in a warning, with the one that was meant.
"""

OTHERS = """\
## Variables that are not prefetch's own

| variable | what it does here |
|---|---|
| `HF_TOKEN` | the token for the Hub. It goes to no other host. `HUGGING_FACE_HUB_TOKEN` comes after it |
| `HF_ENDPOINT` | the Hub's address, by default `https://huggingface.co`. The token then goes only there |
| `CIVITAI_API_TOKEN` | the API key for Civitai, which is civitai.com and civitai.red. It goes to no other host |
| `HF_TOKEN_FILE`, `CIVITAI_API_TOKEN_FILE` | the same in a file, for container secrets |
| `PREFETCH_CIVITAI_ENDPOINT` | another address than `https://civitai.com`; no other host is asked then |
| `RUNPOD_API_KEY`, `RUNPOD_API_KEY_FILE` | the key for RunPod's API. It goes to no other host |
| `PREFETCH_RUNPOD_ENDPOINT` | another address than `https://api.runpod.io` |
| `PREFETCH_MANIFEST_URL`, `PREFETCH_MANIFEST_INLINE`, `PREFETCH_MODELS` | see [here](manifest.md#without-a-file) |
| `PREFETCH_TOKENS` | tokens for other hosts: `https://host=VARIABLE`, several with commas. See [access.md](access.md) |
| `PREFETCH_HEADERS`, `PREFETCH_HEADERS_FILE` | other headers for other hosts, as JSON. See [access.md](access.md) |
| `HF_HOME`, `HF_TOKEN_PATH` | where the token lies that `hf auth login` stored, for when `HF_TOKEN` is not set |
| `HF_HUB_CACHE`, `HF_HOME` | a cache: [its models](durability.md#copies-that-are-here-already) are not fetched |
| `HF_HUB_DISABLE_IMPLICIT_TOKEN` | `1`: do not use that stored token |
| `HF_HUB_OFFLINE` | `1`: the Hub is not asked; a model that would have to be asked for is an error |
| `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` | the proxy, as `http://host:port`, and the hosts that need none |
| `SSL_CERT_FILE` | a file of certificate authorities to trust instead of the system's |
| `PREFETCH_LISTEN_TOKEN`, `PREFETCH_LISTEN_BASIC` | what requests to `--listen` must carry: [metrics.md](metrics.md) |
| `PREFETCH_WEBHOOK_SECRET` | what messages to `--webhook` are signed with: [serve.md](serve.md#messages) |
| `NO_COLOR`, `TERM` | see [logs.md](logs.md) |
| `PREFETCH_DEBUG` | `1`: the traceback of an internal error, on standard error. For a report of a fault |

There is no option for a token: what stands on a command line can be read by every process of the machine.
"""


def page() -> str:
    """The whole page."""
    rows = ["| option | variable | default | what it does | commands |", "|---|---|---|---|---|"]
    return "\n".join([INTRODUCTION, "## Options", "", *rows, *map(_row, option_names()), "", OTHERS])


def _row(field: str) -> str:
    option, default = option_of(field), default_of(field)
    metavar = option.kind.metavar or ""
    written = f"{metavar}…" if option.positional else f"{flag_of(field)} {metavar}".strip()
    shown = f"`{default}`" if default and not isinstance(default, bool) else ""
    commands = ", ".join(command.name for command in COMMANDS if field in command.options)
    cells = [f"`{written}`", f"`{variable_of(field)}`", shown, option.help, commands]
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
