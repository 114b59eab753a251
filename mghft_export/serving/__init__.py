"""Bundles behind servers that exist: what NVIDIA Triton loads, and the model that it calls."""
