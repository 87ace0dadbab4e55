"""What a model answers: to windows of text, without some words, with layers left out."""
