"""Numbers of the tests: how alike two rankings are; whether a text is in a distribution. No torch."""
