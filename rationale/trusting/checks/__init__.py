"""The tests, a file each; see the contract in `rationale.trusting`."""
