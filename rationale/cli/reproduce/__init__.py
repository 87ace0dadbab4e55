"""The commands of `rationale reproduce`."""
