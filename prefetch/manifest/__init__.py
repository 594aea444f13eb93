"""What is wanted: manifests as people write them, read as untrusted input."""

from prefetch.manifest.load import load_manifests
from prefetch.manifest.model import Folder, Manifest, Model, manifest_schema, schema_json
from prefetch.manifest.problems import Place
from prefetch.manifest.wanted import Entry, FolderEntry, Wanted, merge

__all__ = [
    "Entry",
    "Folder",
    "FolderEntry",
    "Manifest",
    "Model",
    "Place",
    "Wanted",
    "load_manifests",
    "manifest_schema",
    "merge",
    "schema_json",
]
