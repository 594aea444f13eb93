"""Is this file a model? By its first bytes, whatever its name; by its name where the format has no mark of its own."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["HEAD_SIZE", "model_format"]

HEAD_SIZE = 4096
"""How many first bytes of a file `model_format` wants to see."""

_LONGEST_HEADER = 100_000_000
"""The longest JSON header that the safetensors library itself reads, in bytes."""

_OLD_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The number with which torch.save began its files before they were zip archives, as pickle writes it."""

_UNMARKED = frozenset({".onnx", ".engine", ".ckpt", ".pt", ".pth"})
_SMALLEST_UNMARKED = 1_000_000


def model_format(path: str, head: bytes, size: int) -> str | None:
    """``safetensors``, ``gguf``, ``torch``, or the name's suffix where only that tells; None for what is no model.

    Args:
        path: the file's path; only its suffix counts, and only where the content has no mark.
        head: the file's first `HEAD_SIZE` bytes, all of it where it is shorter.
        size: the whole file's size in bytes.
    """
    if head.startswith(b"GGUF") and size >= 24:
        return "gguf"
    if _is_safetensors(head, size):
        return "safetensors"
    if _is_torch(head):
        return "torch"
    suffix = PurePosixPath(path).suffix.lower()
    return suffix[1:] if suffix in _UNMARKED and size >= _SMALLEST_UNMARKED else None


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
        return False
    header = head[8 : 8 + length].rstrip()
    # A file of tensors names at least one, or is an empty object: anything else that begins so is chance.
    return header == b"{}" or (header.startswith(b'{"') and (b"data_offsets" in header or length > len(head) - 8))


def _is_torch(head: bytes) -> bool:
    if head.startswith(b"PK\x03\x04"):
        # torch writes its pickle first, in a folder that bears the archive's own name.
        name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return name.endswith(b"/data.pkl") and name.count(b"/") == 1
    return head[:1] == b"\x80" and _OLD_TORCH in head[:16]
