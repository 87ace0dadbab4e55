"""An HTTP server for one exported file: the API of text-embeddings-inference, and the rationale."""
