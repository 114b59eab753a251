"""What two runs have in common is counted by where tokens come from."""

from __future__ import annotations

import numpy as np
import pytest

from mghft_export.evaluation.verification.differences import index_agreement, shared_tokens


def test_agreement_of_indices_ignores_order_but_not_heads() -> None:
    wanted = np.array([[[4, 7, 1], [2, 0, 9]]])  # one sticker, two heads of three patches
    assert index_agreement(wanted[..., ::-1], wanted) == 1
    assert index_agreement(np.array([[[4, 7, 5], [2, 0, 9]]]), wanted) == pytest.approx(5 / 6)
    # The same six patches, but 1 and 2 were selected by the other head.
    assert index_agreement(np.array([[[4, 7, 2], [1, 0, 9]]]), wanted) == pytest.approx(4 / 6)
    assert index_agreement(wanted + 100, wanted) == 0


def test_shared_tokens_are_brought_into_one_order() -> None:
    wanted_indices = np.array([[4, 7], [2, 0]])
    found_indices = np.array([[7, 4], [5, 2]])
    wanted = np.array([[4.0, 40], [7, 70], [2, 20], [0, 0]])
    found = np.array([[7.5, 70], [4.5, 40], [5, 50], [2.5, 20]])
    ours, theirs = shared_tokens(found, found_indices, wanted, wanted_indices)
    assert theirs[:, 0].tolist() == [4, 7, 2]
    np.testing.assert_allclose(ours - theirs, [[0.5, 0]] * 3)


def test_nothing_shared_is_empty() -> None:
    tokens = np.ones((2, 3))
    ours, theirs = shared_tokens(tokens, np.array([[0, 1]]), tokens, np.array([[2, 3]]))
    assert ours.size == theirs.size == 0
