"""Early exits: when a text stops before the last layer, and its answer by then."""
