"""The viewer: what a model used, beside the human rationale; a Streamlit application."""
