"""Language models behind an endpoint: asked for labels and quotes, and asked again without words."""
