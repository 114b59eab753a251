"""Bundles behind servers that exist: Ray Serve, NVIDIA Triton, and a client of both."""
