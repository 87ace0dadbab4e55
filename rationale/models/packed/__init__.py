"""Any encoder of Hugging Face over a packed batch: one long row of tokens, of which some are dropped."""
