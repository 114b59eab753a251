"""Convert a bundle's float32 graphs to other precisions and add the new graphs to the bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import onnx
import onnx_ir as ir

from mghft_export.bundle import (
    BRANCHES,
    MANIFEST,
    Bundle,
    FileEntry,
    GraphEntry,
    QuantizationEntry,
    file_entry,
    load_bundle,
)
from mghft_export.bundle.quantization_recipe import RECIPE, QuantizationRecipe, write_recipe
from mghft_export.errors import ExportError
from mghft_export.files.atomic import replacing_file, replacing_folder
from mghft_export.files.exclusive import exclusive
from mghft_export.graph.edits import edited
from mghft_export.graph.entries import graph_entry
from mghft_export.graph.graph_checks import check_graph, fusable_attentions
from mghft_export.precision.calibration_run import Calibration, PrecisionOptions
from mghft_export.precision.feeds import OnStickers, no_report
from mghft_export.precision.fp16 import to_fp16
from mghft_export.precision.half_constants import store_constants_in_half
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.saturation import saturating_products
from mghft_export.runtime.text_cache import TextCache


def add_precisions(
    bundle: Bundle,
    precisions: Sequence[str],
    options: PrecisionOptions | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_stickers: OnStickers = no_report,
    texts: TextCache | None = None,
) -> Bundle:
    """Add graphs to a bundle. They replace older graphs of the same precisions. The manifest is written last.

    If another process adds to the bundle in the meantime, its work is kept.

    Args:
        on_step: called with the name of each step when the step starts.
        on_stickers: called with how many calibration stickers of this step are done, and how many there are.
        texts: text features that are known already, shared with other callers.

    Raises:
        MGHFTError: the calibration set cannot be used, the recipe belongs to another model, or the disk is full. The
            bundle is unchanged in these cases.
    """
    options = options or PrecisionOptions()
    work = Calibration(bundle, options, on_step, on_stickers, texts)
    quantised = [name for name in precisions if name.startswith("int8")]
    recipe = work.recipe() if quantised else None
    graphs: dict[str, dict[str, GraphEntry]] = {}
    quantization: dict[str, QuantizationEntry] = {}
    magnitudes = work.magnitudes() if "fp16" in precisions else None
    with ExitStack() as to_the_end, ExitStack() as stack:
        # Contexts end in reverse order: the folders are renamed first, then the manifest that describes them.
        manifest = stack.enter_context(replacing_file(bundle.root / MANIFEST))
        for precision in precisions:
            folder = stack.enter_context(replacing_folder(bundle.root / precision))
            graphs[precision] = {}
            for branch in BRANCHES:
                on_step(f"writing {precision}/{branch}.onnx")
                path = folder / f"{branch}.onnx"
                _write(bundle, precision, branch, path, work, recipe)
                entry = graph_entry(folder, path)
                graphs[precision][branch] = entry.model_copy(update={"file": _moved(entry.file, precision)})
            if recipe is not None and precision in quantised:
                write_recipe(folder / RECIPE, recipe)
                quantization[precision] = QuantizationEntry(
                    recipe=_moved(file_entry(folder, folder / RECIPE), precision),
                    calibration_set=recipe.calibration_set,
                    sums_in_16_bits=precision == "int8",
                )
        to_the_end.enter_context(exclusive(bundle.root))
        now = load_bundle(bundle.root).manifest  # another process may have added to it meanwhile
        if now.precisions["fp32"] != bundle.manifest.precisions["fp32"]:
            raise ExportError(f"{bundle.root} was exported again meanwhile; run this again")
        kept = {k: v for k, v in (now.verification or {}).items() if k not in precisions}
        update = {
            "precisions": now.precisions | graphs,
            "quantization": now.quantization | quantization,
            "magnitudes": now.magnitudes if magnitudes is None else magnitudes,
            "verification": kept or None,
        }
        described = now.model_copy(update=update)
        manifest.write_text(described.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return load_bundle(bundle.root)


def _moved(entry: FileEntry, folder: str) -> FileEntry:
    """The entry of a file as it is once its folder has its place in the bundle."""
    return entry.model_copy(update={"path": f"{folder}/{entry.path}"})


def _write(
    bundle: Bundle,
    precision: str,
    branch: str,
    path: Path,
    work: Calibration,
    recipe: QuantizationRecipe | None,
) -> None:
    source = bundle.graph(branch)
    attentions = len(fusable_attentions(ir.load(source).graph))
    if precision == "fp16":
        made = to_fp16(onnx.load(source), half_io=work.options.half_io)
    else:
        assert recipe is not None
        half = precision == "int8-fp16"
        if branch in recipe.branches:
            made = to_int8(
                work.smoothed(branch, recipe),
                recipe.ranges[branch],
                form="half" if half else "cpu",
                float_layers=recipe.float_layers.get(branch, ()),
            )
        else:
            made = onnx.load(source)
            made = to_fp16(made) if half else edited(made, store_constants_in_half)
    if precision == "int8" and (wrong := saturating_products(made.graph)):
        raise ExportError(
            f"{path.name}: sums of {wrong[0]} can exceed 16 bits on a CPU without VNNI; this is a bug of mghft-export"
        )
    onnx.save(made, path)
    check_graph(path, attentions=attentions)
