"""Readers of files of rows, one for each kind of file; eraser/data/custom/tables.py is their table."""
