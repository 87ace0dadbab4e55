"""Language models behind an endpoint: asked for labels and quotes, and again without some words."""
