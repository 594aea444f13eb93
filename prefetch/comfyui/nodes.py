"""Links to models where a custom node insists on them: in its own folder, which goes by more than one name.

Standard library only: the container's entrypoint comes through here before every start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prefetch.errors import UsageError
from prefetch.volume.reading import read_file

__all__ = ["COMFYUI", "NodeModel", "check_comfyui", "find_comfyui", "link_models", "may_be_linked"]

COMFYUI = (Path("/comfyui"), Path("/workspace/ComfyUI"))
"""Where ComfyUI is in RunPod's images, the serverless one first."""

NODES = "custom_nodes"
ASIDE = "before-prefetch"

_MOST_TOML = 1 << 20
"""Bytes of a node's pyproject.toml."""

_SAME = re.compile(r"[-_. ]+")
_DATA = frozenset(
    {
        *(".bin", ".ckpt", ".jit", ".patch", ".pickle", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft"),
        *(".caffemodel", ".engine", ".gguf", ".h5", ".hdf5", ".ipadpt", ".keras", ".mlpackage", ".msgpack", ".nemo"),
        *(".npy", ".npz", ".onnx", ".pdparams", ".plan", ".t7", ".task", ".tflite", ".th", ".torchscript", ".trt"),
        *(".json", ".weights"),
    }
)
"""What a model's name may end with. A link under another name could be run: a node's ``__init__.py``, say."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NodeModel:
    """A model at ``path`` below the volume's root that is wanted at ``node_path`` below ComfyUI's folder."""

    path: str
    node_path: str


def find_comfyui(given: Path | None, *, places: Sequence[Path] = COMFYUI) -> Path | None:
    """ComfyUI's folder: the given one, else the first of its usual places that is there; None where none is.

    Raises:
        UsageError: the given one is no directory.
    """
    check_comfyui(given)
    return given or next((place for place in places if place.is_dir()), None)


def check_comfyui(given: Path | None) -> None:
    """Raise UsageError if the folder that was given is no directory."""
    if given is not None and not given.is_dir():
        raise UsageError(f"--comfyui {given} is no directory.", remedy="Name the folder that ComfyUI's main.py is in.")


def link_models(models: Iterable[NodeModel], *, comfyui: Path, volume: Path, tell: Tell) -> list[Path]:
    """Make a link to each model in every folder of its node.

    What stood there and is not the model is kept beside it under another name. Whatever hinders a link is told, and
    hinders nothing else: a node without its model may still fetch it.

    Args:
        comfyui, volume: directories.
        tell: takes a sentence about what was changed, or could not be.

    Returns:
        Where a link was made now.
    """
    made = []
    for model in models:
        if not may_be_linked(model.node_path):
            tell(f"{model.node_path} is not linked: a file of such a name could be run as a program.")
            continue
        places = _places(model.node_path, comfyui)
        if not places:
            tell(f"{model.node_path} is not linked: {comfyui / NODES} has no folder of that node.")
        for place in places:
            try:
                if _link(place, volume / model.path, volume, tell):
                    made.append(place)
            except OSError as error:
                tell(f"{place} could not be linked to {model.path}: {error.strerror}.")
    return made


def may_be_linked(path: str) -> bool:
    """Whether a link of this name is safe to make: not where it could be run as a program."""
    return PurePosixPath(path).suffix.lower() in _DATA


def _places(node_path: str, comfyui: Path) -> list[Path]:
    top, _, below = node_path.partition("/")
    if top != NODES:
        return [comfyui / node_path]
    name, _, rest = below.partition("/")
    return [comfyui / NODES / folder / rest for folder in _folders(comfyui / NODES, name)] if rest else []


def _folders(nodes: Path, name: str) -> list[str]:
    """The folders of the node that ``name`` means: by their own name, else by that in their pyproject.toml."""
    with suppress(OSError):
        folders = sorted(entry.name for entry in os.scandir(nodes) if _is_node(entry))
        named = [folder for folder in folders if _plain(folder) == _plain(name)]
        return named or [folder for folder in folders if _plain(_registered(nodes / folder)) == _plain(name)]
    return []


def _is_node(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.name.startswith(".") and not entry.name.endswith(".disabled")


def _plain(name: str) -> str:
    """The name without case, version (``name@1_2``) and which separators it has."""
    return _SAME.sub("-", name.partition("@")[0].casefold())


def _registered(folder: Path) -> str:
    """The name under which the node's registry knows it, empty where the folder does not tell."""
    import tomllib

    try:
        text = read_file(folder / "pyproject.toml", most=_MOST_TOML).decode()
        project = tomllib.loads(text).get("project")
    except (OSError, ValueError, RecursionError):
        return ""
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) else ""


def _link(place: Path, target: Path, volume: Path, tell: Tell) -> bool:
    """Have the model at ``place``; False where it is there already."""
    _make_folder(place.parent, tell)
    if place.is_symlink() and not place.exists():
        tell(f"{place} led to {place.readlink()}, where nothing is; it leads to {target} now.")
    elif place.exists():
        if place.samefile(target):
            return False
        tell(f"{place} was something else; it is kept as {_put_aside(place).name}.")
    _replace(place, _as_link(target, place, volume))
    return True


def _make_folder(folder: Path, tell: Tell) -> None:
    """Make a folder and what is missing above it; a link on the way that leads nowhere gives way."""
    for above in (*reversed(folder.parents), folder):
        if above.is_symlink() and not above.exists():
            tell(f"{above} led to {above.readlink()}, where nothing is; it is a folder now.")
            above.unlink()
        above.mkdir(exist_ok=True)


def _put_aside(place: Path) -> Path:
    numbers = (f".{number}" if number else "" for number in range(1000))
    kept = next(path for number in numbers if not os.path.lexists(path := Path(f"{place}.{ASIDE}{number}")))
    place.rename(kept)
    return kept


def _as_link(target: Path, place: Path, volume: Path) -> str:
    # On the volume itself a link must hold wherever the volume is mounted.
    folder, root = os.path.realpath(place.parent), os.path.realpath(volume)
    if os.path.commonpath((folder, root)) == root:
        return os.path.relpath(os.path.realpath(target), folder)
    return str(target)


def _replace(place: Path, link: str) -> None:
    draft = place.with_name(f".{os.urandom(8).hex()}.prefetch")
    draft.symlink_to(link)
    try:
        draft.replace(place)
    except OSError:
        draft.unlink()
        raise
