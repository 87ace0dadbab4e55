"""Files that are written whole, belong to somebody, and are read within bounds."""
