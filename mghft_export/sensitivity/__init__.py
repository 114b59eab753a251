"""How the quantisation of each layer changes the logits, and which layers return to float to keep a budget."""
