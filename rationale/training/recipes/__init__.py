"""What is trained: a file a kind of model, and the table of them."""
