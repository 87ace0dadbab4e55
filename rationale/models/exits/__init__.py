"""When a text stops before the last layer, and what it has said by then."""
