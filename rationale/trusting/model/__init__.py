"""A model seen from inside: copies of it with other weights, and what its layers hold of a text."""
