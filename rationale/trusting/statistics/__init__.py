"""Numbers of the tests: how alike two rankings are, and whether a text is in a model's distribution; no torch."""
