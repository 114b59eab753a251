"""Measuring: latency, memory and arithmetic, side by side in one run."""
