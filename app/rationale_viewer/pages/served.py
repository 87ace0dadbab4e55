"""What `streamlit run` starts: the viewer's script behind the guard of its server."""

from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from rationale_viewer.session.guard import guarded

streamlit_app = App(Path(__file__).with_name("viewer.py"), middleware=[Middleware(guarded)])
