"""Explanations made elsewhere: their record and file, how tokens become words, how each tool's are read."""
