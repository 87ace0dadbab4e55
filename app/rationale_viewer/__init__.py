"""The viewer: what a model used, beside what people marked; a Streamlit application."""
