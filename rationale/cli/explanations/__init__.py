"""The commands of `rationale explanations`."""
