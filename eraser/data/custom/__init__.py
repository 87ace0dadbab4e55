"""Your own tables of texts, in their many forms → a data set."""
