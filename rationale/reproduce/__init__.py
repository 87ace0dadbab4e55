"""Published tables made again: which data sets, in which steps, beside which figures."""
