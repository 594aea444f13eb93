"""Which kind of file it is by its first bytes, and the texts under which a workflow stands in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from prefetch.comfyui.workflow.carriers.exif import exif_texts
from prefetch.comfyui.workflow.carriers.isobmff import isobmff_texts
from prefetch.comfyui.workflow.carriers.matroska import matroska_texts
from prefetch.comfyui.workflow.carriers.pictures import jpeg_texts, png_texts, webp_texts
from prefetch.comfyui.workflow.carriers.reader import OverBudget, Reader
from prefetch.comfyui.workflow.carriers.scenes import glb_texts, safetensors_texts, svg_texts
from prefetch.comfyui.workflow.carriers.sound import flac_texts, mp3_texts, ogg_texts
from prefetch.comfyui.workflow.carriers.texts import KEYS

__all__ = ["HEAD_SIZE", "Carrier", "Embedded", "carrier_of"]

HEAD_SIZE = 512
"""How many first bytes of a file `carrier_of` wants to see."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a file holds.

    Attributes:
        texts: by the key they were saved under, in lower case; of each key the first.
        whole: whether all of the file was looked at that could hold more.
    """

    texts: dict[str, str]
    whole: bool


@dataclass(frozen=True, slots=True)
class Carrier:
    """A kind of file that may hold a workflow.

    Attributes:
        name: with its article.
        texts: reads pairs of key and text; None where none are read. It ends, or raises EOFError, where the file does.
    """

    name: str
    texts: Callable[[Reader], Iterator[tuple[str, str]]] | None

    def read(self, file: IO[bytes]) -> Embedded:
        """The texts of the keys that hold a workflow, as far as the file can be followed. Raises OSError."""
        found: dict[str, str] = {}
        try:
            for key, text in self.texts(Reader(file)) if self.texts else ():
                if (name := key.strip().lower()) in KEYS:
                    found.setdefault(name, text)
        except OverBudget:
            return Embedded(found, whole=False)
        except EOFError:
            pass
        return Embedded(found, whole=True)


_SIGNATURES: tuple[tuple[int, bytes, Carrier], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", Carrier("a PNG picture", png_texts)),
    (0, b"\xff\xd8\xff", Carrier("a JPEG picture", jpeg_texts)),
    (0, b"II*\0", Carrier("a TIFF picture", exif_texts)),
    (0, b"MM\0*", Carrier("a TIFF picture", exif_texts)),
    (8, b"WEBP", Carrier("a WebP picture", webp_texts)),
    (4, b"ftypavi", Carrier("an AVIF picture", isobmff_texts)),
    (4, b"ftyphe", Carrier("a HEIC picture", isobmff_texts)),
    (4, b"ftyp", Carrier("an MP4 file", isobmff_texts)),
    *((4, kind, Carrier("a QuickTime video", isobmff_texts)) for kind in (b"moov", b"mdat", b"wide", b"free", b"skip")),
    (0, b"\x1a\x45\xdf\xa3", Carrier("a Matroska video", matroska_texts)),
    (0, b"fLaC", Carrier("a FLAC sound", flac_texts)),
    (0, b"OggS", Carrier("an Ogg sound", ogg_texts)),
    (0, b"ID3", Carrier("an MP3 sound", mp3_texts)),
    (0, b"glTF", Carrier("a 3D model", glb_texts)),
    (0, b"GIF8", Carrier("a GIF picture", None)),
    (8, b"AVI ", Carrier("an AVI video", None)),
    (8, b"WAVE", Carrier("a WAV sound", None)),
    (0, b"\xff\x0a", Carrier("a JPEG XL picture", None)),
    (4, b"JXL ", Carrier("a JPEG XL picture", None)),
    (0, b"PK\x03\x04", Carrier("a Zip archive", None)),
    (0, b"\x1f\x8b", Carrier("a gzip archive", None)),
)
_SVG, _SAFETENSORS = Carrier("an SVG drawing", svg_texts), Carrier("a safetensors file", safetensors_texts)


def carrier_of(head: bytes) -> Carrier | None:
    """The kind of file that begins so; None for text and for what nobody knows."""
    for at, signature, carrier in _SIGNATURES:
        if head.startswith(signature, at):
            return carrier
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg")):
        return _SVG
    return _SAFETENSORS if head[8:9] == b"{" and head[4:8] == bytes(4) else None
