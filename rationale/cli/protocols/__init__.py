"""The commands of `rationale protocol`."""
