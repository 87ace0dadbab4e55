"""The commands on exported files: export (needs torch), predict and serve (need no torch)."""
