"""Processes: starting, stopping, and printing to a terminal."""
