"""Words ↔ the pieces that models read, and limits on tokenizers."""
