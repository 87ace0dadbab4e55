"""How tokenizers write their tokens: each reading turns tokens back into their characters.

To add one: a function (tokens) → texts, or None if the tokens are not written so, and a line in READINGS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

Reading = Callable[[Sequence[str]], list[str] | None]

SPECIAL = re.compile(
    r"\[(CLS|SEP|PAD|MASK|BOS|EOS)\]|</?s>|<(cls|sep|pad|mask|bos|eos)>|<\|[^|<>]*\|>", re.IGNORECASE
)
UNKNOWN = re.compile(r"\[UNK\]|<unk>", re.IGNORECASE)
BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # SentencePiece's, of characters that it has no piece of
SPACE = "\u2581"  # SentencePiece's mark of a word's begin
ENDINGS = ("</w>", "@@")  # of the end of a word, of what goes on


def as_written(tokens: Sequence[str]) -> list[str]:
    """Return tokens that are the text's own characters."""
    return list(tokens)


def word_pieces(tokens: Sequence[str]) -> list[str] | None:
    """Return WordPiece's tokens without the ## of what goes on."""
    if not any(token.startswith("##") for token in tokens):
        return None
    return [token.removeprefix("##") for token in tokens]


def sentence_pieces(tokens: Sequence[str]) -> list[str] | None:
    """Return SentencePiece's tokens: ▁ is a space, <0xE2> a byte."""
    if not any(SPACE in token or BYTE.fullmatch(token) for token in tokens):
        return None
    found = [BYTE.fullmatch(token) for token in tokens]
    parts = [
        bytes([int(byte[1], 16)]) if byte else token.replace(SPACE, " ").encode("utf-8", "surrogatepass")
        for token, byte in zip(tokens, found, strict=True)
    ]
    return texts_of_bytes(parts)


def byte_level(tokens: Sequence[str]) -> list[str] | None:
    """Return tokens of bytes, as of GPT-2, RoBERTa and Llama 3: each letter is a byte, Ġ the space."""
    letters, alphabet = {c for token in tokens for c in token}, byte_of_letter()
    if not letters <= alphabet.keys() or all(c.isascii() for c in letters):
        return None
    return texts_of_bytes([bytes(alphabet[c] for c in token) for token in tokens])


def end_marked(tokens: Sequence[str]) -> list[str] | None:
    """Return tokens without the </w> of a word's end, or the @@ of what goes on."""
    if not any(token.endswith(ENDINGS) for token in tokens):
        return None
    return [token.removesuffix(ENDINGS[0]).removesuffix(ENDINGS[1]) for token in tokens]


READINGS: dict[str, Reading] = {
    "as written": as_written,
    "WordPiece": word_pieces,
    "SentencePiece": sentence_pieces,
    "byte-level": byte_level,
    "end of word": end_marked,
}


def texts_of_bytes(parts: Sequence[bytes]) -> list[str]:
    """Return the characters that begin in each part; one that is cut in several belongs to the first.

    >>> texts_of_bytes([b"caf", "é".encode()[:1], "é".encode()[1:], b" x"])
    ['caf', 'é', '', ' x']
    """
    whole, texts, at = b"".join(parts), [], 0
    for part in parts:
        begin, end = at, at + len(part)
        at = end
        while begin < end and _goes_on(whole[begin]):
            begin += 1
        while end < len(whole) and begin < end and _goes_on(whole[end]):
            end += 1
        texts.append(whole[begin:end].decode("utf-8", "replace") if begin < end else "")
    return texts


def _goes_on(byte: int) -> bool:
    """Return whether a byte is inside a character of UTF-8."""
    return byte & 0b1100_0000 == 0b1000_0000


@cache
def byte_of_letter() -> dict[str, int]:
    """Return the byte that each letter of GPT-2's alphabet stands for; printable ones are themselves."""
    own = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(b): b for b in own} | {chr(256 + n): b for n, b in enumerate(others)}
