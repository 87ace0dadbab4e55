"""Data sets for annotation tools: the reverse of what eraser/data/forms reads."""
