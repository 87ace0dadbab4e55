"""Adjustments of a loaded model and tokenizer, in memory, so that texts read alone as in a batch.

Nothing is written to the folder they came from.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any, cast

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from eraser import Fault, InputError
from eraser.errors import printable


@cache
def note(text: str) -> None:
    """Write a line to standard error, once."""
    sys.stderr.write(f"note: {printable(text)}\n")


def settle(model: PreTrainedModel) -> None:
    """Let a model return its output as fields, not as a tuple."""
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.config.return_dict = module.config.get_text_config().return_dict = True


def stop_caching(model: PreTrainedModel, answer: Any) -> None:
    """Switch off the cache for further tokens, if an answer shows that the model keeps one."""
    if getattr(answer, "past_key_values", None) is None:
        return
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.config.use_cache = module.config.get_text_config().use_cache = False


def settle_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: str | Path) -> None:
    """Set one padding token for a model and its tokenizer.

    Heads that read the last token of a text look for the last that is not the configuration's padding. Where
    that names none, it is the tokenizer's, else the token that ends a text; always masked.

    Raises:
        InputError: there is no token to pad with.
    """
    config = innermost(model).config
    known = _token(config.get_text_config().pad_token_id, tokenizer)
    if known is None:
        tokenizer.pad_token = _some_token(tokenizer, path)
        config.pad_token_id = config.get_text_config().pad_token_id = tokenizer.pad_token_id
    elif tokenizer.pad_token is None:
        tokenizer.pad_token = known


def innermost(model: PreTrainedModel) -> PreTrainedModel:
    """Return the encoder or decoder inside a classifier, and inside what is around that."""
    while (inner := model.base_model) is not model:
        model = cast(PreTrainedModel, inner)
    return model


def _token(id: Any, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return the token of an id, if that is one: −1 says that there is none."""
    if not isinstance(id, int) or not 0 <= id < len(tokenizer):
        return None
    token = tokenizer.convert_ids_to_tokens(id)
    return token if isinstance(token, str) else None


def _some_token(tokenizer: PreTrainedTokenizerBase, path: str | Path) -> str:
    """Return what to pad with: no token that ends every text, for which a head might look."""
    last = tokenizer.convert_ids_to_tokens(tokenizer("a").input_ids[-1:])
    for token in (tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token, tokenizer.unk_token):
        if token is not None and [token] != last:
            return str(token)
    message = "the tokenizer has no padding or end-of-text token; set pad_token in tokenizer_config.json"
    raise InputError(Fault.of(message, path))
