"""A model's answers: to windows of text, without some words, and what it saved."""
