"""Passages that a model quoted as its reasons: read out of its answers, found in the text, made a row."""
