"""Several runs: side by side, or pooled."""
