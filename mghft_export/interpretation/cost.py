"""The usage and cost of a run: tokens as the endpoint counts them, times its prices."""

from __future__ import annotations

from dataclasses import dataclass

from mghft_export.interpretation.record import Record


@dataclass(frozen=True)
class Prices:
    """Prices of a million tokens, in any currency."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0


@dataclass
class Usage:
    """Sums over records."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, record: Record) -> None:
        """Add one record."""
        self.requests += record.requests
        self.tokens_in += record.tokens_in
        self.tokens_out += record.tokens_out

    def cost(self, prices: Prices) -> float:
        """The cost in the currency of the prices."""
        return (self.tokens_in * prices.tokens_in + self.tokens_out * prices.tokens_out) / 1e6
