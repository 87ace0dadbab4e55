"""What a session has open, and who may ask for it."""
