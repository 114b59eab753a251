"""The page of `mghft-bench --html` forbids scripts and whatever lies elsewhere."""

from mghft_export.bench.page import as_html


def test_the_page_has_a_policy_before_all_content() -> None:
    head = as_html([]).split("<title>")[0]
    assert """<meta http-equiv="Content-Security-Policy" content="default-src 'none';""" in head
    assert "script-src" not in head
