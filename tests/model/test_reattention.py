"""The row-only re-attention scores patches as the released N x N chain does."""

import pytest

torch = pytest.importorskip("torch")

from mghft_export.model import token_selection as reattention  # noqa: E402


def stage(blocks, queries, keys, heads=2, batch=3, dim=8):
    generator = torch.Generator().manual_seed(blocks * 1000 + queries)
    shape = (batch, heads, queries, dim), (batch, heads, keys, dim)
    draw = [torch.randn(*s, dtype=torch.float64, generator=generator) for _ in range(blocks) for s in shape]
    return draw[0::2], draw[1::2]


@pytest.mark.parametrize("blocks", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("reduced", [True, False])
def test_row_only_equals_the_chain(blocks, reduced):
    queries, keys = stage(blocks, queries=65, keys=17 if reduced else 65)
    maps = [reattention.attention_map(q, k) for q, k in zip(queries, keys, strict=True)]
    chain = reattention.scores_as_released(maps, reduced=reduced)
    row = reattention.scores_row_only(queries, keys, reduced=reduced)
    assert row.shape == (3, 2, 64)
    torch.testing.assert_close(row, chain, rtol=1e-9, atol=0)


def test_half_precision_is_recomputed_in_float32():
    queries, keys = stage(3, 65, 17)
    halves = [[x.half() for x in group] for group in (queries, keys)]
    scores = reattention.scores_row_only(*halves, reduced=True)
    floats = [[x.float() for x in group] for group in halves]
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, reattention.scores_row_only(*floats, reduced=True))


def test_selected_tokens_come_head_after_head_best_first():
    scores = torch.tensor([[[0.1, 0.9, 0.5], [0.7, 0.2, 0.3]]])
    selected = reattention.select_tokens(scores, 2)
    assert selected.tolist() == [[[1, 2], [0, 2]]]
    tokens = torch.arange(4.0).reshape(1, 4, 1)  # token 0 is the class token, so score j is token j + 1
    assert reattention.gather_tokens(tokens, selected).flatten().tolist() == [2, 3, 1, 3]
