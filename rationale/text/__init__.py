"""Words ↔ the pieces that models read, and what bounds who cuts them."""
