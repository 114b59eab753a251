"""The sessions of a model's three branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mghft_export.bundle import BRANCHES, Bundle, TensorEntry
from mghft_export.engines.min_opt_max import DEFAULT_BATCH, MinOptMax
from mghft_export.errors import BundleError
from mghft_export.runtime.graph_session import CPU_PROVIDERS, open_graph, runtime_name
from mghft_export.runtime.session import Session, TensorInfo


@dataclass(frozen=True)
class Branches:
    """Sessions of the three branches.

    Attributes:
        how: what runs them; part of the key under which text features are cached.
        precision: the bundle's precision that they run.
    """

    vision: Session
    text: Session
    fusion: Session
    how: str
    precision: str


def onnx_branches(
    bundle: Bundle,
    *,
    precision: str = "fp32",
    provider: str = "cpu",
    threads: int | None = None,
    instead: Mapping[str, bytes] | None = None,
) -> Branches:
    """Open a bundle's ONNX graphs in ONNX Runtime or OpenVINO.

    Args:
        instead: by branch, serialised models that run instead of its graph, for example with more outputs.

    Raises:
        BundleError: a file is missing or was changed.
        MGHFTError: the provider is not usable on this machine.
    """
    longest = bundle.manifest.text.max_length
    sizes = {"batch": DEFAULT_BATCH, "length": MinOptMax(2, longest, longest)}

    def opened(branch: str) -> Session:
        if instead is not None and branch in instead:
            return open_graph(instead[branch], provider=provider, threads=threads, sizes=sizes)
        with bundle.opening(branch, precision) as path:
            session = open_graph(path, provider=provider, threads=threads, sizes=sizes)
        entry = bundle.manifest.precisions[precision][branch]
        _require_tensors(path, entry.inputs, session.inputs)
        _require_tensors(path, entry.outputs, session.outputs)
        return session

    # On the CPU the three are opened at once. Other providers may time kernels on the device while they are opened, and
    # a second session would disturb the timing.
    with ThreadPoolExecutor(len(BRANCHES) if provider in CPU_PROVIDERS else 1) as pool:
        vision, text, fusion = pool.map(opened, BRANCHES)
    return Branches(vision, text, fusion, f"{runtime_name(provider)}/{precision}", precision)


def _require_tensors(path: Path, expected: Sequence[TensorEntry], found: Mapping[str, TensorInfo]) -> None:
    """Check that a graph has the inputs or outputs that the manifest names.

    Raises:
        BundleError: an input or output differs; the message names the first one.
    """
    for entry in expected:
        tensor = found.get(entry.name)
        shape = tuple(size if isinstance(size, int) else None for size in entry.shape)
        if tensor is None or tensor.shape != shape or tensor.dtype.name != entry.dtype:
            raise BundleError(
                f"the tensor {entry.name!r} of {path} is not as the manifest says; export the bundle again"
            )
    if len(found) != len(expected):
        raise BundleError(
            f"{path} has other inputs or outputs than the manifest says; export the bundle again"
        )
