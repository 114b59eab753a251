"""Bundles as a stranger may send them; the tests of both programs read the same list.

Each is a sound bundle with one thing changed, and hashes that fit: a stranger can compute those, too.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

Values = dict[str, Any]
DEEP = 100_000
"""Brackets that a careless parser opens one in the other."""


def _raw(old: str, new: str) -> Callable[[str], str]:
    """Changes the manifest's text."""

    def change(text: str) -> str:
        assert text.count(old) >= 1, old
        return text.replace(old, new, 1)

    return change


def _put(value: Any, *keys: Any) -> Callable[[Values], None]:
    """Sets one value of the manifest."""

    def change(values: Values) -> None:
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = value

    return change


def _drop(*keys: Any) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        for key in keys[:-1]:
            values = values[key]
        del values[keys[-1]]

    return change


VISION = ("precisions", "fp32", "vision")
MANIFESTS: dict[str, Callable[[Values], None]] = {
    "a-path-with-nul": _put("fp32/vision\0.onnx", *VISION, "file", "path"),
    "a-very-long-path": _put("x" * 5000, *VISION, "file", "path"),
    "a-path-of-half-a-character": _put("fp32/\ud800.onnx", *VISION, "file", "path"),
    "a-path-outside": _put("../vision.onnx", *VISION, "file", "path"),
    "an-absolute-path": _put("/etc/hostname", "tokenizer", "path"),
    "an-empty-path": _put("", "tokenizer", "path"),
    "a-folder-for-a-file": _put("fp32", "tokenizer", "path"),
    "a-giant-height": _put(320_000_000, "image", "height"),
    "a-giant-width": _put(320_000_000, "image", "width"),
    "a-height-of-a-float": _put(224.5, "image", "height"),
    "two-class-names": _put(["a", "b"], "class_names"),
    "no-class-names": _put([], "class_names"),
    "a-class-name-of-a-number": _put(1, "class_names", 0),
    "a-spread-of-zero": _put([0.5, 0.0, 0.5], "image", "std"),
    "a-negative-spread": _put([0.5, -0.5, 0.5], "image", "std"),
    "a-mean-of-two": _put([0.5, 0.5], "image", "mean"),
    "a-giant-mean": _put([1e30, 0.5, 0.5], "image", "mean"),
    "a-crop-of-nothing": _put(0, "image", "crop_fraction"),
    "a-background-of-no-colour": _put("nowhere", "image", "background"),
    "a-giant-text": _put(1_000_000_000, "text", "max_length"),
    "a-text-of-one-token": _put(1, "text", "max_length"),
    "unknown-views": _put("many", "text", "views"),
    "a-schema-of-true": _put(True, "schema_version"),
    "a-schema-of-text": _put("1", "schema_version"),
    "another-schema": _put(2, "schema_version"),
    "no-schema": _drop("schema_version"),
    "no-fp32": _drop("precisions", "fp32"),
    "no-precisions": _put({}, "precisions"),
    "no-vision": _drop(*VISION),
    "no-tokenizer": _drop("tokenizer"),
    "a-hash-of-text": _put("x" * 64, *VISION, "file", "sha256"),
    "another-hash": _put("0" * 64, *VISION, "file", "sha256"),
    "a-negative-size": _put(-1, *VISION, "file", "bytes"),
    "a-giant-size": _put(1 << 62, *VISION, "file", "bytes"),
    "inputs-of-another-name": _put("picture", *VISION, "inputs", 0, "name"),
    "inputs-of-another-type": _put("int8", *VISION, "inputs", 0, "dtype"),
    "inputs-of-another-shape": _put(["batch", 3, 64, 32], *VISION, "inputs", 0, "shape"),
    "outputs-of-another-shape": _put(["batch", 3], "precisions", "fp32", "fusion", "outputs", 0, "shape"),
    "a-list-for-a-table": _put([], "image"),
    "trained-by-a-text": _put("yes", "trained"),
}
"""By what is wrong."""

TEXTS: dict[str, Callable[[str], str]] = {
    "no-json": lambda text: text[:-20],
    "an-empty-manifest": lambda _: "",
    "a-list": lambda _: "[]",
    "deep-lists": lambda _: "[" * DEEP + "]" * DEEP,
    "deep-values": _raw('"model": {', '"model": {"deep": ' + "[" * DEEP + "]" * DEEP + ","),
    "a-mean-of-nan": _raw('"mean": [', '"mean": [NaN,'),
    "an-endless-number": _raw('"height": ', '"height": ' + "9" * 5000),
}

Graph = onnx.ModelProto


def _external(model: Graph) -> None:
    tensor = next(item for item in model.graph.initializer if item.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)


def _external_constant(model: Graph) -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], "constant", value=tensor))


def _loop(model: Graph) -> None:
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    flag = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go", "goes")]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"])], "body", [count, flag[0]], [flag[1]]
    )
    model.graph.initializer.append(helper.make_tensor("forever", TensorProto.BOOL, [], [True]))
    model.graph.node.insert(0, helper.make_node("Loop", ["", "forever"], [], "loop", body=body))


def _function(model: Graph) -> None:
    model.functions.append(
        helper.make_function(
            "strange", "F", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], model.opset_import
        )
    )


def _other_output(model: Graph) -> None:
    """An output that is twice as long as the manifest says."""
    output = model.graph.output[0]
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == output.name:
                node.output[place] = "half"
    model.graph.node.append(helper.make_node("Concat", ["half", "half"], [output.name], "twice", axis=1))
    output.type.tensor_type.shape.dim[1].dim_value *= 2


def _other_input(model: Graph) -> None:
    model.graph.input[0].name = "picture"


GRAPHS: dict[str, Callable[[Graph], None]] = {
    "weights-elsewhere": _external,
    "a-constant-elsewhere": _external_constant,
    "a-loop": _loop,
    "a-function": _function,
    "a-graph-of-another-output": _other_output,
    "a-graph-of-another-input": _other_input,
}

CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "a-cut-graph": lambda content: content[: len(content) // 2],
    "no-graph": lambda _: b"this is no graph at all",
    "a-graph-twice": lambda content: content + content,
}


def _normalizer(values: Values) -> None:
    values["normalizer"] = {
        "type": "Replace",
        "pattern": {"Regex": "(a+)+$"},
        "content": "",
    }


def _splitter(values: Values) -> None:
    values["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(a|aa)+$"},
        "behavior": "Isolated",
        "invert": False,
    }


TOKENIZERS: dict[str, Callable[[Values], None]] = {
    "a-tokenizer-that-replaces": _normalizer,
    "a-tokenizer-that-splits": _splitter,
    "a-tokenizer-of-bytes": _put({"type": "BPE", "vocab": {}, "merges": []}, "model"),
    "a-tokenizer-of-endless-words": _put(1_000_000_000, "model", "max_input_chars_per_word"),
    "a-tokenizer-without-words": _put({}, "model", "vocab"),
    "an-empty-special-token": _put("", "added_tokens", 0, "content"),
    "a-token-of-a-giant-number": lambda values: values["model"]["vocab"].update({"cat": 1 << 31}),
    "a-list-for-a-tokenizer": lambda values: values.clear(),
}


def _copy(bundle: Path, target: Path) -> None:
    """The same files under other names; those that change are written anew."""
    shutil.copytree(bundle, target, copy_function=os.link)


def _write(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _replace(target: Path, values: Values, entry: Values, content: bytes) -> None:
    """Another content for a file of the manifest, with its hash."""
    _write(target / entry["path"], content)
    entry["sha256"], entry["bytes"] = hashlib.sha256(content).hexdigest(), len(content)
    _write(target / "manifest.json", json.dumps(values).encode())


def write_hostile_bundles(bundle: Path, folder: Path) -> list[Path]:
    """Write them all beside each other.

    Args:
        bundle: a sound one, whose files can be linked to.

    Returns:
        the bundles, each named by what is wrong with it.
    """
    sound = json.loads((bundle / "manifest.json").read_text())
    written = json.dumps(sound, indent=1)
    found = []

    def made(name: str) -> Path:
        _copy(bundle, folder / name)
        found.append(folder / name)
        return folder / name

    for name, change in MANIFESTS.items():
        values = copy.deepcopy(sound)
        change(values)
        _write(made(name) / "manifest.json", json.dumps(values).encode())
    for name, edit in TEXTS.items():
        _write(made(name) / "manifest.json", edit(written).encode())
    (folder / "secret.bin").write_bytes(bytes(1 << 16))
    for name, damage in GRAPHS.items():
        target, values = made(name), copy.deepcopy(sound)
        entry = values["precisions"]["fp32"]["vision"]["file"]
        model = onnx.load(target / entry["path"])
        damage(model)
        _replace(target, values, entry, model.SerializeToString())
        (target / "fp32" / "secret.bin").write_bytes(bytes(1 << 16))
    for name, cut in CONTENTS.items():
        target, values = made(name), copy.deepcopy(sound)
        entry = values["precisions"]["fp32"]["vision"]["file"]
        _replace(target, values, entry, cut((target / entry["path"]).read_bytes()))
    for name, change in TOKENIZERS.items():
        target, values = made(name), copy.deepcopy(sound)
        entry = values["tokenizer"]
        tokenizer = json.loads((target / entry["path"]).read_text())
        change(tokenizer)
        _replace(target, values, entry, json.dumps(tokenizer).encode())
    return found


ESCAPE = "\x1b]0;owned\x07\x9b31m\u202egnp"
"""A name that gives a terminal another title, another colour and another direction of writing."""

NAMES = (ESCAPE, "[/bold]", "[red]happy", "a\nerror: b", "b\x7f", "c\u2028d", "plain")
"""Of classes."""


def write_bundle_of_names(bundle: Path, folder: Path) -> Path:
    """A sound bundle whose names are meant for the terminal."""
    target = folder / "bundle [bold] of names"
    _copy(bundle, target)
    values = json.loads((bundle / "manifest.json").read_text())
    values["class_names"], values["producer"] = list(NAMES), ESCAPE
    values["checkpoint"]["name"] = f"{ESCAPE}[/italic]"
    _write(target / "manifest.json", json.dumps(values).encode())
    return target


def unshown(output: str) -> set[str]:
    """What commands a terminal in what a program printed."""
    kinds = ("Cc", "Cs", "Zl", "Zp")
    return {
        letter
        for letter in output
        if letter != "\n" and (unicodedata.category(letter) in kinds or letter in "\u202e\u2066\u200f")
    }
