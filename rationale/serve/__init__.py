"""An HTTP server on one exported file: labels as text-embeddings-inference gives them, and the rationale."""
