"""An evaluation that takes long enough to be killed."""

from __future__ import annotations

EVALUATE = ("--methods", "attention,gradient_x_input", "--budget", "ratio", "--chunk", 4, "--limit", 24)
