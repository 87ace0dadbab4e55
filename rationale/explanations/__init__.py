"""Explanations made elsewhere: their file, how tokens become words, how each tool's are read."""
