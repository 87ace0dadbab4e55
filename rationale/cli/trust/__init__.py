"""The command `rationale trust`."""
