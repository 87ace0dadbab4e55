"""Page 1: one text, which words decided, and what dropping them saved."""

from rationale_viewer.pages.explain.page import explain_page

__all__ = ["explain_page"]
