"""The front door: what `import rationale` gives."""
