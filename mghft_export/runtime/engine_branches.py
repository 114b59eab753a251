"""Load the engines of the three branches from a folder, on this machine's GPU."""

from __future__ import annotations

from pathlib import Path

from mghft_export.bundle import BRANCHES, Bundle
from mghft_export.bundle.build_info import ENGINES
from mghft_export.engines.loading import engine_folders, load_engine_folder
from mghft_export.errors import EngineError
from mghft_export.files.cache_folder import cache_folder
from mghft_export.runtime.branches import Branches
from mghft_export.runtime.cuda import open_cuda
from mghft_export.runtime.engine_session import load_engine
from mghft_export.runtime.rtx_cache import RuntimeCache


def engine_branches(bundle: Bundle, engine: str | Path, *, cuda_graphs: bool = True) -> Branches:
    """Load the engines of a bundle.

    Args:
        engine: the engines' folder, or its name in the bundle's `engines/`.
        cuda_graphs: launch each set of shapes as one CUDA graph.

    Raises:
        EngineError: the folder is missing or does not fit the bundle or this machine, a branch is missing, or no GPU
            can be used.
    """
    folder = find_engine_folder(bundle, engine)
    built = load_engine_folder(folder, bundle)
    paths = {branch: built.engine(branch) for branch in BRANCHES}
    precision, flags = built.info.precision, built.info.flags
    graphs = bundle.manifest.precisions[precision]
    cuda, _ = open_cuda()
    vision, text, fusion = (
        load_engine(
            paths[branch],
            backend=built.backend,
            cuda=cuda,
            cuda_graphs=cuda_graphs,
            weights=bundle.read(graphs[branch].file) if flags.strip_weights else None,
            host_code=flags.version_compatible,
            sha256=built.info.engines[branch].file.sha256,
            cache=RuntimeCache(cache_folder("rtx") / built.info.engines[branch].file.sha256[:32]),
        )
        for branch in BRANCHES
    )
    text_engine = built.info.engines["text"].file.sha256
    return Branches(vision, text, fusion, f"{built.backend.title}/{text_engine}", precision)


def find_engine_folder(bundle: Bundle, engine: str | Path) -> Path:
    """A folder of engines, by its path or its name in the bundle.

    Raises:
        EngineError: there is no such folder; the message names the folders in the bundle.
    """
    named = bundle.root / ENGINES / engine
    if Path(engine).name == str(engine) and named.is_dir():
        return named
    if Path(engine).is_dir():
        return Path(engine)
    known = ", ".join(folder.name for folder in engine_folders(bundle))
    there_are = f"the bundle has {known}" if known else "the bundle has none"
    raise EngineError(
        f"there are no engines {str(engine)!r} ({there_are}); build them with `mghft-export trt {bundle.root}`"
    )
