"""Processes: how they start, end and speak to a terminal."""
