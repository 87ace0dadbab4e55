"""Which tokenizers are bounded by construction: time linear in the text, output a few times as long.

A tokenizer.json is an untrusted program: patterns may take exponential time, replacements may double a text
forty times. What is in the tables here cannot; anything else is tried elsewhere first (tokenizer_trial.py).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Part = Mapping[str, Any]
Rule = Callable[[Part], bool]

_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_ENDS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SIGNED = rf"(?i:{_CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|%s| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*{_ENDS}"
_CASED = rf"[^\r\n\p{{L}}\p{{N}}]?%s(?i:{_CONTRACTIONS})?"
# Patterns of published tokenizers, each seen to be linear: a run is taken whole, or given up once.
PATTERNS = frozenset({
    rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+",  # GPT-2, RoBERTa, OLMo
    rf"{_CONTRACTIONS}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+",  # CLIP
    _SIGNED % r"\p{N}{1,3}",  # cl100k, Llama 3
    _SIGNED % r"\p{N}",  # Qwen 2
    "|".join([_CASED % f"{_UPPER}*{_LOWER}+", _CASED % f"{_UPPER}+{_LOWER}*",
              rf"\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*{_ENDS}"]),  # o200k
    r"\p{N}", r"\p{N}+", r"\p{N}{1,3}", r"\d", r"[\r\n]", "[0-9]", "[0-9][0-9][0-9]", r"\s?\p{L}+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",  # Bloom
    " {2,}", r"\s{2,}", r"\s{2,}|[\n\r\t]", r"\s+", r"[\n\r\t]", "\n", " ",  # replaced by a character
})  # fmt: skip

MOST_STEPS = 32  # parts of a tokenizer
MOST_GROWING = 1  # of each kind that may lengthen a text
LONGEST = 1000  # characters of a piece of the vocabulary, and of what stands before a text
LONGEST_MAPPED = 64  # bytes that a table of characters may have for one
MOST_SPECIAL = 16  # tokens put around a text, which stands there once or twice


def _always(part: Part) -> bool:
    return True


def _content(part: Part) -> str:
    return str(part.get("content", part.get("prepend", "")))


def _pattern(part: Part) -> bool:
    pattern = part.get("pattern")
    if not isinstance(pattern, Mapping):
        return False
    return isinstance(pattern.get("String"), str) or pattern.get("Regex") in PATTERNS


def _replaces(part: Part) -> bool:
    """Return whether a replacement is no longer than the least that it stands for."""
    pattern = part.get("pattern")
    plain = pattern.get("String") if isinstance(pattern, Mapping) else None
    least = len(plain) if isinstance(plain, str) else 1
    return _pattern(part) and least > 0 and len(_content(part)) <= least


def _prepends(part: Part) -> bool:
    return len(_content(part)) <= LONGEST


def _maps(part: Part) -> bool:
    """Return whether no text in a table of characters is long: a trie, behind its size, and then texts."""
    table = part.get("precompiled_charsmap")
    try:
        raw = base64.b64decode(table or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        return False
    texts = raw[4 + int.from_bytes(raw[:4], "little") :]
    return max(map(len, texts.split(b"\0"))) <= LONGEST_MAPPED


def _templates(part: Part) -> bool:
    """Return whether few tokens are put around a text, which stands there once."""
    ids = [s.get("ids", []) for s in (part.get("special_tokens") or {}).values()]
    few = all(len(part.get(side) or ()) <= MOST_SPECIAL for side in ("single", "pair"))
    counts = [
        sum((item.get("Sequence") or {}).get("id") == name for item in part.get(side) or ())
        for side in ("single", "pair")
        for name in "AB"
    ]
    return few and max(counts) <= 1 and all(len(x) <= MOST_SPECIAL for x in ids)


RULES: dict[str, dict[str, Rule]] = {
    "normalizer": {
        **dict.fromkeys(("BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Nmt",
                         "StripAccents", "ByteLevel"), _always),
        "Replace": _replaces, "Prepend": _prepends, "Precompiled": _maps,
    },
    "pre_tokenizer": {
        **dict.fromkeys(("BertPreTokenizer", "ByteLevel", "Metaspace", "Whitespace", "WhitespaceSplit",
                         "Punctuation", "Digits", "CharDelimiterSplit", "UnicodeScripts", "FixedLength",
                         "Delimiter"), _always),
        "Split": _pattern,
    },
    "post_processor": {
        **dict.fromkeys(("BertProcessing", "RobertaProcessing", "ByteLevel"), _always),
        "TemplateProcessing": _templates,
    },
    "decoder": {  # is never run, but read
        **dict.fromkeys(("WordPiece", "ByteLevel", "Metaspace", "BPEDecoder", "CTC", "Fuse", "Strip",
                         "ByteFallback"), _always),
        "Replace": _pattern,
    },
}  # fmt: skip
# these may lengthen a text by a factor each time (a `Replace` may not)
GROWING = frozenset({"NFD", "NFKD", "NFKC", "NFC", "ByteLevel", "Precompiled", "Prepend", "Metaspace"})
LISTS = ("normalizers", "pretokenizers", "processors", "decoders")
MODELS = frozenset({"BPE", "WordPiece", "Unigram", "WordLevel"})


def unbounded(spec: Part) -> str | None:
    """Return the first unbounded part of a tokenizer, in a few words, or None if all parts are bounded.

    Args:
        spec: what a tokenizer.json holds; parts that are not there are no parts.
    """
    for kind, rules in RULES.items():
        names: list[str] = []
        for part in _parts(spec.get(kind)):
            name = str(part.get("type"))
            if name not in rules or not rules[name](part):
                return f"a {kind} {name} {_told(part)}".strip()
            names.append(name)
        again = [name for name in GROWING if names.count(name) > MOST_GROWING]
        if len(names) > MOST_STEPS or again:
            return f"{len(names)} steps in its {kind}"
    return _unbounded_model(spec.get("model"))


def _told(part: Part) -> str:
    pattern = part.get("pattern")
    return repr(next(iter(pattern.values()), "")) if isinstance(pattern, Mapping) else ""


def _parts(part: Any) -> Iterator[Part]:
    """Yield the parts of a part, in their order, however deep in lists of parts."""
    waiting = [part] if isinstance(part, Mapping) else []
    while waiting:
        first = waiting.pop()
        inside = next((first[name] for name in LISTS if isinstance(first.get(name), list)), None)
        if inside is None or first.get("type") != "Sequence":
            yield first
        else:
            waiting += [p for p in reversed(inside) if isinstance(p, Mapping)]


def _unbounded_model(model: Any) -> str | None:
    """Return what is not bounded in a model: work grows with the longest piece, and the longest word."""
    if not isinstance(model, Mapping):
        return "no model"
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind not in MODELS:
        return f"a model {kind}"
    if kind == "WordPiece" and not 0 <= _whole(model.get("max_input_chars_per_word", 100)) <= LONGEST:
        return f"words of up to {model['max_input_chars_per_word']} characters"
    vocab = model.get("vocab")
    pieces = vocab if isinstance(vocab, Mapping) else [p[0] for p in vocab or () if isinstance(p, list) and p]
    longest = max((len(p) for p in pieces if isinstance(p, str)), default=0)
    return f"a piece of {longest} characters" if longest > LONGEST else None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else -1
