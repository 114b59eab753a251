"""Quantisation-aware training: the products of the INT8 graphs, rounded in the forward pass of a fine-tuning."""
