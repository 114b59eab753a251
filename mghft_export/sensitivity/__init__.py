"""What the quantisation of each layer alone does to the logits, and which layers go back to float for a budget."""
