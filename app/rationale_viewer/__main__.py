"""The viewer's server: Streamlit, told to serve this machine alone. `rationale app` starts it."""

from __future__ import annotations

import sys
from pathlib import Path

from rationale.templates.palette import BAR, INK, PANEL, PAPER

SCRIPT = Path(__file__).resolve().parent / "pages" / "served.py"


def server(port: int, browser: bool) -> list[str]:
    """Return what Streamlit is told: this machine alone, nothing sent anywhere, the viewer's colours."""
    told: dict[str, object] = {
        "server.address": "localhost",
        "server.port": port,
        "server.headless": not browser,
        "server.showEmailPrompt": False,  # else the first start waits for an answer on the terminal
        "server.fileWatcherType": "none",
        "server.enableCORS": True,  # whatever a .streamlit/config.toml in the home folder says
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.disableDataExport": True,  # it would not quote; each table has a CSV of ours
        "logger.hideWelcomeMessage": True,  # nor is help offered to those who write code with an AI
    }
    colours = {
        "primaryColor": BAR,
        "backgroundColor": PAPER,
        "secondaryBackgroundColor": PANEL,
        "textColor": INK,
    }
    for theme in ("light", "dark"):
        told |= {f"theme.{theme}.{name}": getattr(colour, theme) for name, colour in colours.items()}
    return [str(SCRIPT), *(f"--{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in told.items())]


def main(port: str, browser: str) -> None:
    """Serve the pages, until the process is ended."""
    from streamlit.web.cli import main as streamlit

    print(f"The viewer: http://localhost:{port} (Ctrl+C ends it)", flush=True)  # noqa: T201 (the answer)
    sys.argv = ["streamlit", "run", *server(int(port), browser == "browser")]
    streamlit(prog_name="streamlit")


if __name__ == "__main__":
    main(*sys.argv[1:])
