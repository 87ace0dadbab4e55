"""What bad input is told: the text of an InputError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eraser import InputError


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    (line,) = str(error.value).splitlines()
    return line
