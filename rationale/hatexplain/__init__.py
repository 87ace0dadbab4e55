"""HateXplain's protocol: a model's row of its paper's table, in word pieces and in words."""
