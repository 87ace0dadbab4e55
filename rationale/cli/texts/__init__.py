"""Commands that explain texts without labels: one at once, or a file of any number."""
