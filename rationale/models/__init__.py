"""Adaptive encoders: models that drop tokens, stop early, or are pruned."""
