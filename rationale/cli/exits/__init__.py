"""The command `rationale exits`."""
