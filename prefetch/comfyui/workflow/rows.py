"""Rows of LoRA stacks: mappings with a file, a switch and strengths of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prefetch.comfyui.workflow.names import unwrapped

__all__ = ["is_off", "is_switched_off", "is_zero", "live_values", "names_in_rows"]

_FILES = ("lora", "lora_name", "name", "file_name", "model_name")
_VARIANT = "low_variant_name"
"""A second file of a row, for the low-noise model, and its switches (WanVideoPowerLoraLoader)."""

_VARIANT_SWITCHES = ("is_low", "low_active")
_SWITCHES = ("on", "active", "enabled")
_WEIGHTS = ("strength", "strengthTwo", "strength_model", "strength_clip", "clipStrength")
_OFF = frozenset({"off", "false", "disabled", "disable", "disable loras", "no", "0"})


def is_off(value: object) -> bool:
    """Whether a switch's value means off; one that is not there does not."""
    if isinstance(value, str):
        return value.strip().lower() in _OFF
    return value is not None and not value


def is_switched_off(row: Mapping[str, object]) -> bool:
    """Whether a row's own switch is off, or all its strengths are 0: its node then loads nothing."""
    if any(is_off(row[name]) for name in _SWITCHES if name in row):
        return True
    weights = [row[name] for name in _WEIGHTS if row.get(name) is not None]
    return bool(weights) and all(is_zero(weight) for weight in weights)


def is_zero(weight: object) -> bool:
    """Whether a strength is 0."""
    try:
        return isinstance(weight, int | float | str) and float(weight) == 0
    except ValueError:
        return False


def names_in_rows(value: object) -> Iterator[object]:
    """The file of each row that is on, in a mapping or a list of them."""
    for row in value if isinstance(value, list) else [value]:
        row = unwrapped(row)
        if isinstance(row, Mapping) and not is_switched_off(row):
            yield from (row[name] for name in _FILES if name in row)
            yield from (row[name] for name in (_VARIANT,) if name in row and not _is_variant_off(row))


def live_values(row: Mapping[str, object]) -> Iterator[object]:
    """The values of a mapping, but for a second file that is switched off."""
    yield from (value for name, value in row.items() if name != _VARIANT or not _is_variant_off(row))


def _is_variant_off(row: Mapping[str, object]) -> bool:
    return any(is_off(row.get(name)) for name in _VARIANT_SWITCHES)
