"""Commands on exported files, which need no torch."""
