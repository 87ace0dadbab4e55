"""Data sets for annotation tools: the way back from what eraser/data/forms reads."""
