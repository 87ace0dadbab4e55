"""The fold Speed of the page Explain, at a dial that drops nothing."""

from __future__ import annotations

import re

from tests.helpers.app.pages import TEXT, checked, keyed, markup


def test_where_nothing_is_dropped_no_flops_are_said_to_be_saved(open_app):
    """The model's own decisions cost a little: it takes more than the dense one, never "0.99x fewer"."""
    at = open_app(speed="true")
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    assert re.search(r"<b>[1-9]\d*\.\d\dx</b><span>fewer FLOPs than dense</span>", markup(at))
    checked(keyed(at.select_slider, "dial").set_value(0.0).run())
    assert "<b>none</b><span>FLOPs saved</span>" in markup(at)
    assert "fewer FLOPs" not in markup(at)
