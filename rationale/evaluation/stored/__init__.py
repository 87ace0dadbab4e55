"""A run on disk: its parts, the columns of its examples, and how an untrusted folder is read."""
