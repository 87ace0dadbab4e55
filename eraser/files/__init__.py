"""Files: written whole or not at all, tracked by their owner, read within bounds."""
