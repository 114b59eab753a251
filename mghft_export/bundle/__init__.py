"""The bundle: the folder that every command reads and writes, and the schemas of all JSON files in and beside it."""

from mghft_export.bundle.folder import Bundle, file_entry, load_bundle, write_manifest
from mghft_export.bundle.manifest import (
    BRANCHES,
    MANIFEST,
    MOST_ELEMENTS,
    MOST_PIXELS,
    MOST_TOKENS,
    SCHEMA_VERSION,
    CheckpointEntry,
    FileEntry,
    GraphEntry,
    ImageEntry,
    Manifest,
    QuantizationEntry,
    TensorEntry,
    TextEntry,
)

__all__ = [
    "BRANCHES",
    "MANIFEST",
    "MOST_ELEMENTS",
    "MOST_PIXELS",
    "MOST_TOKENS",
    "SCHEMA_VERSION",
    "Bundle",
    "CheckpointEntry",
    "FileEntry",
    "GraphEntry",
    "ImageEntry",
    "Manifest",
    "QuantizationEntry",
    "TensorEntry",
    "TextEntry",
    "file_entry",
    "load_bundle",
    "write_manifest",
]
