"""How many pieces a model can read at once, found by watching it read a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from eraser import Fault, InputError
from rationale.hf.folder_checks import first_line
from rationale.text.reading import innermost

NO_LIMIT = 10**6  # what tokenizers without a limit say is far more
AT_ONCE = 512  # pieces read at once where nothing bounds them: T5, XLNet, Bloom and kin
PROBE = "a a a a a a"  # the same piece again: its ids are not consecutive
FEWEST = 3  # of consecutive numbers that must be positions
BOUNDS = ("max_position_embeddings", "max_seq_len")  # of a configuration


def longest(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many pieces the model can read at once, special tokens included; NO_LIMIT for any number.

    The least of the room in its tables of positions, what its configuration says (rotary and relative
    positions have no table), and the tokenizer's limit. A sliding window is no bound: what is outside of it
    is read through the layers.
    """
    limit = tokenizer.model_max_length
    own = int(max(limit, 0)) if limit < NO_LIMIT else NO_LIMIT
    return min([own, *_configured(model), *_rooms(model, tokenizer)])


def read_at_once(wanted: int | None, limit: int) -> int:
    """Return how many pieces to read at once with a model that can read `limit`."""
    if wanted is None:
        return AT_ONCE if limit == NO_LIMIT else limit
    return min(wanted, limit)


def _configured(model: PreTrainedModel) -> Iterator[int]:
    """Yield the limits in the configuration; −1 and the like are none."""
    for name in BOUNDS:
        value = getattr(innermost(model).config.get_text_config(), name, None)
        if isinstance(value, int) and value > 0:
            yield value


@torch.no_grad()
def _rooms(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the room in each of the model's tables of positions."""
    ids = tokenizer(PROBE, return_tensors="pt").input_ids.to(model.device)
    if ids.shape[1] < FEWEST:
        return []
    found = _Positions(ids.shape[1])
    try:
        with found:
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
    except Exception as error:  # whatever the layers say to it
        raise InputError(Fault.of(f"the model fails on a short text: {first_line(error)}")) from None
    return found.rooms


class _Positions(TorchFunctionMode):
    """Watches which tables are asked for consecutive rows, and how many rows there are from the first on.

    RoBERTa's and OPT's first position is 2; Longformer and BigBird add padding after the `length` pieces.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self.rooms: list[int] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the function; note the room where it looks up positions."""
        if func is embedding:
            self._look(*args[:2], **{k: v for k, v in (kwargs or {}).items() if k in ("input", "weight")})
        return func(*args, **(kwargs or {}))

    def _look(self, input: Tensor, weight: Tensor) -> None:
        if not input.numel():
            return
        rows = input.reshape(-1, input.shape[-1])[:, : self.length]  # [., T]
        first = int(rows[0, 0])
        if rows.shape[1] == self.length and bool((rows == first + torch.arange(self.length).to(rows)).all()):
            self.rooms.append(len(weight) - first)
