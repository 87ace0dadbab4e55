"""What data sets look like on disk: one file a format, and what they stand on."""
