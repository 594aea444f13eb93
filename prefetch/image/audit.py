"""What an image's layers and models come to, as a table for people and as a document for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prefetch.errors import PrefetchError
from prefetch.image.accounts import Accounts, LayerAccount, ModelAccount
from prefetch.image.archive import Layer
from prefetch.report.humanize import count, printable
from prefetch.report.humanize import size as bytes_text

__all__ = ["ImageAudit"]


@dataclass(frozen=True, slots=True)
class ImageAudit:
    """The outcome of an audit.

    Attributes:
        image: the archive or directory, as it was given.
        manifest: what became of the manifest that was asked for, for programs; None where none was.
        error: why the outcome is not all that was asked for.
    """

    image: str
    layers: Sequence[Layer]
    accounts: Accounts
    manifest: Mapping[str, Any] | None = None
    error: PrefetchError | None = None

    @property
    def exit_code(self) -> int:
        """0, or that of the error."""
        return 0 if self.error is None else self.error.exit_code

    @property
    def text(self) -> str:
        """A row a layer, a row a model, and the sum."""
        parts = [_layer_table(self.layers, self.accounts), _model_table(self.accounts.models), self._sum()]
        return "\n\n".join(part for part in parts if part)

    def to_json(self) -> str:
        """The document of ``--json``, on one line."""
        total = _total(self.accounts)
        document = {
            "ok": self.error is None,
            "exit_code": self.exit_code,
            "error": self.error and {"code": self.error.code, "message": str(self.error)},
            "image": self.image,
            "bytes": asdict(total),
            "bytes_without_models": total.stored - total.models,
            "layers": [_layer_document(*pair) for pair in zip(self.layers, self.accounts.layers, strict=True)],
            "models": [_model_document(model) for model in self.accounts.models],
            "manifest": self.manifest,
        }
        return json.dumps(document, ensure_ascii=False)

    def _sum(self) -> str:
        total = _total(self.accounts)
        files, layers = count(total.files, "file"), count(len(self.layers), "layer")
        hidden, repeated = bytes_text(total.hidden), bytes_text(total.duplicated)
        lines = [
            f"{bytes_text(total.stored)} in {files} and {layers}",
            f"wasted: {bytes_text(total.wasted)}; {hidden} hidden by later layers, {repeated} stored before",
            f"models: {bytes_text(total.models)}; the image without them: {bytes_text(total.stored - total.models)}",
        ]
        return "\n".join(lines)


def _total(accounts: Accounts) -> LayerAccount:
    each = [asdict(layer) for layer in accounts.layers]
    return LayerAccount(**{name: sum(layer[name] for layer in each) for name in asdict(LayerAccount())})


def _layer_table(layers: Sequence[Layer], accounts: Accounts) -> str:
    rows = [f"{'layer':>5} {'stored':>10} {'hidden':>10} {'duplicate':>10} {'models':>10}  made by"]
    for number, (layer, account) in enumerate(zip(layers, accounts.layers, strict=True), 1):
        sizes = (account.stored, account.hidden, account.duplicated, account.models)
        figures = " ".join(f"{bytes_text(size):>10}" for size in sizes)
        rows.append(f"{number:>5} {figures}  {printable(layer.made_by)[:60]}".rstrip())
    return "\n".join(rows)


def _model_table(models: Sequence[ModelAccount]) -> str:
    if not models:
        return ""
    rows = [f"{'copies':>6} {'size':>10}  {'format':<11}  {'sha256':<12}  model"]
    for model in models:
        where = [*model.paths, *model.links] or [f"{path} (hidden)" for _, path in model.stored_at]
        rows.append(
            f"{len(model.stored_at):>6} {bytes_text(model.size):>10}  {model.format:<11}  "
            f"{model.sha256.hex()[:12]}  " + printable(", ".join(dict.fromkeys(where)))
        )
    return "\n".join(rows)


def _layer_document(layer: Layer, account: LayerAccount) -> dict[str, Any]:
    return {"made_by": layer.made_by, "blob_bytes": layer.blob_size, **asdict(account)}


def _model_document(model: ModelAccount) -> dict[str, Any]:
    return {
        "sha256": model.sha256.hex(),
        "size": model.size,
        "format": model.format,
        "copies": len(model.stored_at),
        "paths": model.paths,
        "links": model.links,
        "stored_at": [{"layer": layer + 1, "path": path} for layer, path in model.stored_at],
    }
