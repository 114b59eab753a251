"""The three branches of a model, running."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mghft_export.bundle import BRANCHES, Bundle
from mghft_export.runtime.graph_session import CPU_PROVIDERS, open_graph, runtime_name
from mghft_export.runtime.onnx_providers import Sizes
from mghft_export.runtime.session import Session

TENSORRT_BATCH: Sizes = (1, 8, 32)
"""Least, best and most stickers of a run through ONNX Runtime's TensorRT provider."""


@dataclass(frozen=True)
class Branches:
    """Sessions of the three branches.

    Attributes:
        how: what runs them; part of the key under which text features are cached.
        precision: which of a bundle's precisions they are.
    """

    vision: Session
    text: Session
    fusion: Session
    how: str
    precision: str


def onnx_branches(
    bundle: Bundle, *, precision: str = "fp32", provider: str = "cpu", threads: int | None = None
) -> Branches:
    """A bundle's ONNX graphs in ONNX Runtime or OpenVINO.

    Raises:
        BundleError: a file is missing or was changed.
        MGHFTError: the provider is not usable on this machine.
    """
    longest = bundle.manifest.text.max_length
    sizes = {"batch": TENSORRT_BATCH, "length": (2, longest, longest)}

    def opened(branch: str) -> Session:
        return open_graph(bundle.graph(branch, precision), provider=provider, threads=threads, sizes=sizes)

    # On the CPU all at once. Other providers may measure kernels on a device, which they should have to themselves.
    with ThreadPoolExecutor(len(BRANCHES) if provider in CPU_PROVIDERS else 1) as pool:
        vision, text, fusion = pool.map(opened, BRANCHES)
    return Branches(vision, text, fusion, f"{runtime_name(provider)}/{precision}", precision)
