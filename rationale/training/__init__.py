"""Training: one loop a kind of model, one form of checkpoint."""
