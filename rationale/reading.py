"""What a loaded model and its tokenizer are told in memory, so that texts are read alone as in a batch.

Nothing of it is written to the folder they came from.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from eraser import Fault, InputError
from rationale.model_folder import first_line
from rationale.one_length import padding_matters, read_by_length


@cache
def note(text: str) -> None:
    """Write a line to standard error, once."""
    sys.stderr.write(f"note: {text}\n")


def settle(model: PreTrainedModel) -> None:
    """Let a model answer with fields, and go on as configured after a text that needed something else."""
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.config.return_dict = module.config.get_text_config().return_dict = True
            if _is_sparse(module):
                module.register_forward_pre_hook(_Sparse(), with_kwargs=True)


def _is_sparse(module: nn.Module) -> bool:
    """Return whether a model attends to blocks, and to everything where a text has few: BigBird and kin."""
    configured = getattr(getattr(module, "config", None), "attention_type", None)
    return configured == "block_sparse" and hasattr(module, "set_attention_type")


@dataclass
class _Sparse:
    """Turns sparse attention on again: the library turns it off for good at a text of few blocks.

    `full` is the longest text yet for which it was off: for one not longer it would only be turned off again.
    """

    full: int = 0
    last: int = 0

    def __call__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        configured = module.config.attention_type
        length = next(x.shape[1] for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        if module.attention_type != configured:
            self.full = max(self.full, self.last)
        if length > self.full:
            module.set_attention_type(configured)
        self.last = length


def stop_caching(model: PreTrainedModel, answer: Any) -> None:
    """Keep no states for further tokens, where an answer shows that the model does."""
    if getattr(answer, "past_key_values", None) is None:
        return
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.config.use_cache = module.config.get_text_config().use_cache = False


def settle_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: str | Path) -> None:
    """Let a model on its device, and its tokenizer, know one padding token, and padding change no answer.

    Heads that read the last token of a text look for the last that is not the configuration's padding. Where
    that names none, it is the tokenizer's, else the token that ends a text; always masked.

    Raises:
        InputError: there is no token to pad with, or the model cannot read a few words.
    """
    config = innermost(model).config
    known = _token(config.get_text_config().pad_token_id, tokenizer)
    if known is None:
        tokenizer.pad_token = _some_token(tokenizer, path)
        config.pad_token_id = config.get_text_config().pad_token_id = tokenizer.pad_token_id
    elif tokenizer.pad_token is None:
        tokenizer.pad_token = known
    if innermost(model) is not model.base_model:  # a model around a classifier, which packs real tokens
        return
    try:
        matters = any(map(_is_sparse, model.modules())) or padding_matters(model, tokenizer)
    except Exception as error:  # whatever the layers say to it
        raise InputError(Fault("a model that can read a few words", first_line(error), path)) from None
    if matters:
        note(f"{path}: texts of one length are read at a time, for padding changes the answers")
        read_by_length(model)


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
    expected = "a tokenizer with a padding or end-of-text token (pad_token in tokenizer_config.json)"
    raise InputError(Fault(expected, "neither", path))
