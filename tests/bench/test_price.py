"""What a row's precision costs is said only where that was measured."""

from mghft_export.bench.price import price
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import load_bundle


def test_bfloat16_rows_have_no_price(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    exact = Subject(tiny_bundle, "openvino", "vision", 1, 1, provider="openvino")
    assert price(bundle, exact).agreement == 1
    rounded = Subject(tiny_bundle, "openvino", "vision", 1, 1, provider="openvino-bf16")
    assert price(bundle, rounded) is None
