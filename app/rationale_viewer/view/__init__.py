"""What was computed, as HTML that escapes everything, as files, in colours and words."""
