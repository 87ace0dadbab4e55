"""How each kind of model is trained, one file per kind, and the table of recipes."""
