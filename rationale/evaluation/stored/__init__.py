"""A run on disk: its parts, the columns of its examples, and how a stranger's folder is read."""
