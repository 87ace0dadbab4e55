"""What the page's address holds beside the widgets' own choices: a text, its edits, an example, a layer.

A text is compressed; one that does not fit is left out, and the page says so. What an address holds is a
stranger's, so that each part is checked, and bounded before it is unpacked.
"""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from eraser import Fault, InputError

MOST_PACKED = 6000  # characters of an address: what browsers, chats and servers pass on
MOST_UNPACKED = 200_000  # bytes: a few of an address can unpack to gigabytes
UNREADABLE = "the address was cut short or changed: what it holds of the {} cannot be read"


def pack(value: Any) -> str | None:
    """Return a value of JSON as a part of an address; None where it would be too long.

    >>> unpack(pack({"text": "warm, warm, warm"}) or "", "text")
    {'text': 'warm, warm, warm'}
    """
    plain = json.dumps(value, separators=(",", ":")).encode()
    packed = urlsafe_b64encode(zlib.compress(plain, 9)).decode().rstrip("=")
    return packed if len(packed) <= MOST_PACKED and len(plain) <= MOST_UNPACKED else None


def unpack(packed: str, what: str) -> Any:
    """Return what `pack` was given.

    Args:
        packed: the part of an address.
        what: it should hold, for the message.

    Raises:
        InputError: it is not whole, or unpacks to more than a page can show.
    """
    if len(packed) > MOST_PACKED:
        raise InputError(Fault.of(UNREADABLE.format(what)))
    try:
        inside = zlib.decompressobj()
        plain = inside.decompress(urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), MOST_UNPACKED)
        if not inside.eof:
            raise ValueError("more than a page can show, or cut short")
        return json.loads(plain)
    except (ValueError, zlib.error, RecursionError):
        raise InputError(Fault.of(UNREADABLE.format(what))) from None


def put(name: str, value: str | None) -> None:
    """Write a part of the address, or take it out; a name that a widget holds is left to the widget."""
    with suppress(StreamlitAPIException):
        if value is not None:
            if st.query_params.get(name) != value:
                st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]


def number(name: str, most: int) -> int:
    """Return a whole number from 0 to `most` of the address; 0 where it holds none."""
    found = st.query_params.get(name, "")
    return min(int(found), most) if found.isdecimal() and len(found) <= len(str(most)) else 0
