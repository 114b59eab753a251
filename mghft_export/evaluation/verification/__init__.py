"""Check that graphs still give the same answers: float32 against PyTorch, other precisions against float32."""
