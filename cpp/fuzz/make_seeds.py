"""Writes seeds/: small files of each kind that the fuzzers start from. What a fuzzer found is added by hand.

python cpp/fuzz/make_seeds.py
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

SEEDS = Path(__file__).parent / "seeds"


def write(name: str, content: bytes) -> None:
    path = SEEDS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def images() -> None:
    values = np.random.default_rng(0).integers(0, 255, (9, 7, 4), dtype=np.uint8)
    picture = Image.fromarray(values, "RGBA")
    rgb = picture.convert("RGB")
    palette = rgb.quantize(8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, image, options in (
        ("rgba.png", picture, {"exif": exif}),
        ("palette.png", palette, {"transparency": 2}),
        ("grey.png", picture.convert("L"), {"transparency": 9}),
        ("grey16.png", Image.fromarray(values[..., 0].astype(np.uint16) * 257), {}),
        ("baseline.jpg", rgb, {"exif": exif}),
        ("progressive.jpg", rgb, {"progressive": True}),
        ("cmyk.jpg", rgb.convert("CMYK"), {}),
        ("lossy.webp", picture, {"exif": exif}),
        ("lossless.webp", picture, {"lossless": True}),
        ("animated.webp", picture, {"save_all": True, "append_images": [picture.rotate(90)]}),
        ("interlaced.gif", palette, {"transparency": 3, "interlace": 1}),
        ("animated.gif", palette, {"save_all": True, "append_images": [palette.rotate(90)]}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, name.rpartition(".")[2].replace("jpg", "jpeg"), **options)
        write(f"image/{name}", buffer.getvalue())


def manifests() -> None:
    file = {"path": "a", "sha256": "0" * 64, "bytes": 1}
    tensor = {"name": "t", "shape": ["batch", 3], "dtype": "float32"}
    manifest = {
        "schema_version": 1,
        "producer": "p",
        "trained": True,
        "checkpoint": {"name": "c"},
        "class_names": ["a"],
        "image": {
            **{"height": 64, "width": 64, "crop_fraction": 0.875, "background": "#ff8800"},
            **{"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        },
        "text": {"views": "joined", "pooling": "masked", "max_length": 64},
        "tokenizer": file,
        "precisions": {"fp32": {"text": {"file": file, "inputs": [tensor], "outputs": [tensor]}}},
        "quantization": {"int8": {"recipe": file}},
    }
    write("manifest/bundle.json", json.dumps(manifest).encode())
    build = {
        **{"schema_version": 1, "backend": "rtx", "version": "1.2.3.4", "precision": "fp16", "targets": [86]},
        **{"gpu": {"name": "g", "sm": 86}, "flags": {"version_compatible": True}},
        **{"command": "mghft-export trt b --target sm86", "engines": {"text": {"file": file, "onnx": file}}},
    }
    write("manifest/build.json", json.dumps(build).encode())


def tokenizers() -> None:
    ids = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "##b": 5}
    special = [{"SpecialToken": {"id": token}} for token in ("[CLS]", "[SEP]")]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    tokenizer = {
        "normalizer": {
            **{"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True},
            **{"strip_accents": None, "lowercase": True},
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special[0], {"Sequence": {"id": "A"}}, special[1]],
            "special_tokens": {token: {"ids": [ids[token]]} for token in ("[CLS]", "[SEP]")},
        },
        "added_tokens": [{"id": 2, "content": "[CLS]", **flags}],
        "model": {
            **{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##"},
            **{"max_input_chars_per_word": 100, "vocab": ids},
        },
    }
    write("tokenizer/bert.json", json.dumps(tokenizer).encode())


def texts() -> None:
    views = ("intention one", "style two", "main  role\u3000three", "gesture")
    write("text/views.txt", " ".join(f"#The sticker\u2019s {view}" for view in views).encode())
    write("text/scripts.txt", "naïve İΣ 中文 한국어 हिन्दी \u1100\u1161\u11a8 e\u0315\u0300 😀\u200d".encode())


def features() -> None:
    arrays = {"names": np.array(["cat.png", "é"]), "text_branch": np.array("branch")}
    for name, save in (("stored", np.savez), ("compressed", np.savez_compressed)):
        buffer = io.BytesIO()
        save(buffer, **arrays, features=np.ones((2, 4, 2), np.float32))
        write(f"features/{name}.npz", buffer.getvalue())
    for name, array in (("floats", np.ones(3, np.float32)), ("strings", arrays["names"])):
        buffer = io.BytesIO()
        np.save(buffer, array)
        write(f"features/{name}.npy", buffer.getvalue())


if __name__ == "__main__":
    images()
    manifests()
    tokenizers()
    texts()
    features()
