"""Quantisation-aware training: fine-tuning with the products of the INT8 graphs rounded in the forward pass."""
