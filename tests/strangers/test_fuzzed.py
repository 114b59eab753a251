"""Damaged files end in one of this package's errors, never in another one.

A hundred damages of each file here; `make fuzz` tries many more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("torch")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strangers.feature_files import archive, sound

from mghft_export.bench.records import read_record
from mghft_export.bundle import MANIFEST, load_bundle
from mghft_export.bundle.build_info import BUILD_INFO, read_build_info
from mghft_export.bundle.calibration_manifest import read_manifest
from mghft_export.bundle.graph_contents import check_graph_contents
from mghft_export.bundle.quantization_recipe import read_recipe
from mghft_export.bundle.text_features import load_features, text_branch_id
from mghft_export.engines.engine_layers import layers_path, read_layers, read_times
from mghft_export.errors import MGHFTError
from mghft_export.interpretation.answer import parse_answer
from mghft_export.model.checkpoint import METADATA, build_model, load_checkpoint, save_checkpoint
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.stickers.text_file import read_texts
from mghft_export.stickers.text_tokens import default_tokenizer_path, parse_tokenizer

EXAMPLES = int(os.environ.get("MGHFT_FUZZ_EXAMPLES", "100"))
ROOT = Path(__file__).parents[2]

JUNK = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    1 << 62,
    10**400,
    "",
    "x",
    "\ud800",
    "\0",
    "../x",
    [],
    [[]],
    {},
    {"a": 1},
)
"""What may stand where something else is due."""

Edit = tuple[str, int, bytes]
Read = Callable[[bytes], Any]

edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "drop", "put", "cut"]), st.integers(0, 1 << 20), st.binary(max_size=8)
    ),
    min_size=1,
    max_size=4,
)
tries = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 100,
    suppress_health_check=list(HealthCheck),
)


def damaged(content: bytes, changes: list[Edit]) -> bytes:
    """A content with some of its bytes changed."""
    found = bytearray(content)
    for kind, number, new in changes:
        place = number % (len(found) + 1)
        if kind == "flip" and place < len(found):
            found[place] ^= 1 << (number % 8)
        elif kind == "drop":
            del found[place : place + 1 + len(new)]
        elif kind == "put":
            found[place:place] = new
        elif kind == "cut" and number % 4 == 0:
            del found[place:]
    return bytes(found)


def replaced(value: Any, number: int, junk: Any) -> Any:
    """A JSON value in which one value is another one."""
    places: list[tuple[Any, Any]] = []

    def visit(inside: Any) -> None:
        items = inside.items() if isinstance(inside, dict) else enumerate(inside)
        for key, item in items:
            places.append((inside, key))
            if isinstance(item, (dict, list)):
                visit(item)

    changed = json.loads(json.dumps(value))
    visit(changed)
    holder, key = places[number % len(places)]
    holder[key] = junk
    return changed


def only_our_errors(read: Read, content: bytes) -> None:
    with suppress(MGHFTError):
        read(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def of_json(values: Any, read: Read) -> None:
    """Tries both kinds of damage on a JSON file."""
    text = json.dumps(values, indent=1).encode()

    @tries
    @given(edits)
    def bytes_change(changes: list[Edit]) -> None:
        only_our_errors(read, damaged(text, changes))

    @tries
    @given(st.integers(0, 1 << 20), st.sampled_from(JUNK))
    def values_change(number: int, junk: Any) -> None:
        only_our_errors(read, json.dumps(replaced(values, number, junk)).encode())

    bytes_change()
    values_change()


def of_bytes(content: bytes, read: Read) -> None:
    @tries
    @given(edits)
    def bytes_change(changes: list[Edit]) -> None:
        only_our_errors(read, damaged(content, changes))

    bytes_change()


def in_file(path: Path, read: Callable[[Path], Any]) -> Read:
    """A reader of contents, through a file."""

    def from_content(content: bytes) -> Any:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return read(path)

    return from_content


def test_manifests(tiny_bundle: Path, folder: Path) -> None:
    values = json.loads((tiny_bundle / MANIFEST).read_text())
    target = folder / "bundle"
    for path in tiny_bundle.rglob("*"):
        if path.is_file() and path.name != MANIFEST:
            (target / path.relative_to(tiny_bundle)).parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target / path.relative_to(tiny_bundle))
    of_json(values, in_file(target / MANIFEST, lambda path: load_bundle(path.parent)))


def test_tokenizers() -> None:
    values = json.loads(default_tokenizer_path().read_text(encoding="utf-8"))
    kept = list(values["model"]["vocab"].items())[:200]
    values["model"]["vocab"] = dict(kept)
    of_json(values, lambda content: parse_tokenizer(content, Path("tokenizer.json")))


def test_graphs(tiny_bundle: Path, folder: Path) -> None:
    content = (tiny_bundle / "fp32" / "fusion.onnx").read_bytes()
    of_bytes(content, in_file(folder / "fusion.onnx", check_graph_contents))


def test_text_features(tiny_bundle: Path, folder: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    archive(folder / "a.npz", sound(text_branch_id(bundle), bundle.manifest.model["embed_dims"][3]))
    content = (folder / "a.npz").read_bytes()
    of_bytes(content, lambda damage: load_features(Path("a.npz"), bundle, damage))


def test_checkpoints(tiny_model: Any, folder: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    def read(path: Path) -> None:
        build_model(load_checkpoint(path))

    path = folder / "best.safetensors"
    save_checkpoint(path, tiny_model, list("abcdefg"))
    with safe_open(str(path), framework="pt") as file:
        description = json.loads(file.metadata()[METADATA])
    state = {key: value.contiguous() for key, value in list(tiny_model.state_dict().items())[:3]}

    def described(content: bytes) -> None:
        text = content.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
        save_file(state, path, metadata={METADATA: text})
        read(path)

    of_json(description, described)
    of_bytes(path.read_bytes(), in_file(path, read))
    torch.save({"state_dict": state, "epoch": 1, "args": {"views": "joined"}}, folder / "best.pth")
    of_bytes((folder / "best.pth").read_bytes(), in_file(folder / "best.pth", read))


def test_calibration_sets(folder: Path) -> None:
    values = json.loads((default_calibration_set() / MANIFEST).read_text())
    values["stickers"] = values["stickers"][:5]
    of_json(values, in_file(folder / "set" / MANIFEST, lambda path: read_manifest(path.parent)))


def test_recipes(quantised_tiny_bundle: Path, folder: Path) -> None:
    values = json.loads(next(quantised_tiny_bundle.glob("int8/*.json")).read_text())
    of_json(values, in_file(folder / "recipe.json", read_recipe))


def test_engines(folder: Path) -> None:
    entry = {"path": "x", "sha256": "0" * 64, "bytes": 1}
    built = {
        "schema_version": 1,
        "producer": "x",
        "backend": "rtx",
        "version": "1.5",
        "precision": "fp16",
        "targets": [86],
        "flags": {"level": 3},
        "command": "mghft-export trt x",
        "engines": {
            "vision": {
                "file": entry,
                "onnx": entry,
                "profiles": [{"image": [[1, 3, 2, 2]] * 3}],
                "workspace": None,
                "seconds": 1.0,
                "layers": 1,
                "attentions": {"fused": 1, "expected": 1, "missing": []},
            }
        },
    }
    of_json(built, in_file(folder / "engine" / BUILD_INFO, lambda path: read_build_info(path.parent)))
    layers = {"layers": [{"name": "a", "kind": "b", "precision": "c", "nodes": ["d"]}]}
    engine = folder / "vision.engine"
    of_json(layers, in_file(layers_path(engine), lambda _: read_layers(engine)))
    times = [{"count": 1}, {"name": "a", "averageMs": 0.1}]
    of_json(times, in_file(folder / "times.json", read_times))


def test_records(folder: Path) -> None:
    values = json.loads((ROOT / "benchmarks" / "results" / "mini_cpu.json").read_text())
    of_json(values, in_file(folder / "record.json", read_record))


def test_texts(folder: Path) -> None:
    of_json({"annotations": [{"path": "a", "text": "b"}]}, in_file(folder / "texts.json", read_texts))
    of_bytes(b'{"image": "a", "text": "b"}\n' * 3, in_file(folder / "texts.jsonl", read_texts))
    of_bytes(b"image,text\na,b\n" * 3, in_file(folder / "texts.csv", read_texts))


def test_answers() -> None:
    views = ("intention", "style", "main role", "gesture")
    of_json(
        dict.fromkeys(views, "a cat"), lambda content: parse_answer(content.decode(errors="replace"), views)
    )
