"""What a row's speed costs: the accuracy of its precision, from the bundle's manifest."""

from __future__ import annotations

from dataclasses import dataclass

from mghft_export.bench.subjects import RUN_GRAPHS, Subject
from mghft_export.bundle import Bundle
from mghft_export.bundle.build_info import ENGINES, read_build_info
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.errors import EngineError
from mghft_export.evaluation.verification.precision_warning import unjudged


@dataclass(frozen=True)
class Price:
    """Accuracy compared with float32 in ONNX Runtime on the CPU.

    Attributes:
        agreement: share of stickers with the same class.
        macro_f1_change: change of macro-F1, negative if the precision is worse; None for random weights.
        stickers: how many were compared; None for the reference itself.
        remarks: why the same class says less than it seems: the classes hardly need a branch, or a branch misses its
            limits.
    """

    agreement: float
    macro_f1_change: float | None
    stickers: int | None
    remarks: tuple[str, ...] = ()


def price(bundle: Bundle, subject: Subject) -> Price | None:
    """The price of a row; None for PyTorch's rows, precisions that were not verified, and graphs that changed since.

    A precision is verified on the CPU; another provider or an engine may round differently. Rows of `openvino-bf16`
    have no price, because they compute in another precision than the verified one.
    """
    precision = _precision(bundle, subject)
    if precision is None or subject.provider == "openvino-bf16":
        return None
    if precision == "fp32":
        return Price(1.0, 0.0 if bundle.manifest.trained else None, None)
    found = (bundle.manifest.verification or {}).get(precision)
    if not isinstance(found, PrecisionVerification):
        return None
    now = {name: graph.file.sha256 for name, graph in bundle.manifest.precisions.get(precision, {}).items()}
    if any(now.get(branch) != digest for branch, digest in found.graphs.items()):
        return None
    change = found.macro_f1.change if found.macro_f1 is not None else None
    failed = tuple(
        f"{precision}: the {branch} branch misses its limits"
        for branch, check in found.branches.items()
        if check.passed is False
    )
    return Price(found.top1_agreement, change, found.stickers, (*unjudged(found), *failed))


def _precision(bundle: Bundle, subject: Subject) -> str | None:
    if subject.engine is not None:
        try:
            return read_build_info(bundle.root / ENGINES / subject.engine).precision
        except EngineError:
            return None
    return subject.precision if subject.implementation in RUN_GRAPHS else None
