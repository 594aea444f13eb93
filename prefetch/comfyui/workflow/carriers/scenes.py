"""Latents, 3D models and drawings, which hold a JSON or XML document with the workflow somewhere in it."""

from __future__ import annotations

from collections.abc import Iterator

from prefetch.comfyui.workflow.carriers.reader import Reader
from prefetch.comfyui.workflow.carriers.texts import COMMENT, readable

__all__ = ["glb_texts", "safetensors_texts", "svg_texts"]

_GLB_HEAD = 12


def safetensors_texts(file: Reader) -> Iterator[tuple[str, str]]:
    """The header, whose ``__metadata__`` has both."""
    yield COMMENT, readable(file.read(8, file.number(0, 8, "little")))


def glb_texts(glb: Reader) -> Iterator[tuple[str, str]]:
    """The scene's JSON, whose ``asset.extras`` has both."""
    yield COMMENT, readable(glb.read(_GLB_HEAD + 8, glb.number(_GLB_HEAD, 4, "little")))


def svg_texts(svg: Reader) -> Iterator[tuple[str, str]]:
    """What ``metadata`` holds as it is."""
    _, _, metadata = svg.rest().partition(b"<metadata")
    yield COMMENT, readable(metadata.partition(b"<![CDATA[")[2].partition(b"]]>")[0])
