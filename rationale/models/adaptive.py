"""What all adaptive models share: a classifier inside, and the questions asked at each layer.

Before a layer `select_tokens` says which tokens stay; after it `halting_policy` says which sequences stop. A
model wraps a dense classifier, a pruned one, or another adaptive model, whose decisions it passes on where it
makes none itself, so that policies compose.

Axes: B sequence, T token, P packed token, L layer, D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.nested_config import NestedConfig
from rationale.models.packed.attention import PackedLayout
from rationale.models.packed.encoder import Output, check_encoder, keep_all, run_packed
from rationale.models.packed.packing import Halting
from rationale.models.pruning import build


def unwrap(model: PreTrainedModel) -> PreTrainedModel:
    """Return Hugging Face's own classifier, perhaps pruned, inside any number of adaptive models."""
    while isinstance(model, AdaptiveForSequenceClassification):
        model = model.model
    return model


class AdaptiveForSequenceClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A classifier that skips tokens or layers; subclasses override `select_tokens` or `halting_policy`."""

    config_class = NestedConfig
    base_model_prefix = "model"
    removes = False  # whether this model itself drops tokens

    def __init__(self, config: NestedConfig) -> None:
        super().__init__(config)
        self.model = build(config.encoder_config())
        check_encoder(unwrap(self.model))

    @classmethod
    def wrap(cls, inner: PreTrainedModel, **settings: Any) -> Self:
        """Return a model around a trained one, whose weights it keeps; its own parts are new."""
        names = {"id2label": inner.config.id2label, "label2id": inner.config.label2id}
        model = cls(cls.config_class(inner.config.to_dict(), **settings, **names))
        model.model.load_state_dict(inner.state_dict())
        return model

    @property
    def inner(self) -> AdaptiveForSequenceClassification | None:
        """Return the adaptive model inside, where there is one."""
        return self.model if isinstance(self.model, AdaptiveForSequenceClassification) else None

    @property
    def drops_tokens(self) -> bool:
        """Return whether tokens are dropped, by this model or by one inside."""
        return self.removes or (self.inner is not None and self.inner.drops_tokens)

    def forward(  # noqa: PLR0913 (what the library's models take)
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> Output | tuple[Any, ...]:
        """Classify [B,T] on the packed batch, really removing what `select_tokens` and `halting_policy` say.

        Args:
            input_ids: [B,T]; or word embeddings `inputs_embeds` [B,T,D] instead.
            attention_mask: 1 for text, 0 for padding [B,T].
            token_type_ids: [B,T].
            inputs_embeds: [B,T,D].
            labels: [B], or [B,C] for several labels a text: the loss is returned too.
            output_hidden_states: return the states [B,T,D] around all layers, 0 where a token was gone.
            return_dict: False for a plain tuple.
        """
        ids, real = self._read(input_ids, attention_mask, inputs_embeds)  # [B,T], [B,T]
        hidden: list[Tensor] = []  # [B,T,D] each
        found = run_packed(  # logits [B,C]
            unwrap(self),
            ids,
            token_type_ids,
            real,
            self.select_tokens,
            self.halting_policy(),
            watch=hidden.append if output_hidden_states else None,
            embeds=inputs_embeds,
        )
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=found.logits, config=self.config)
        states = tuple(hidden) if output_hidden_states else None
        output = replace(
            found, loss=loss, hidden_states=states
        )  # the library fills its tuple when one is made
        return output.to_tuple() if return_dict is False else output

    def _read(self, ids: Tensor | None, mask: Tensor | None, embeds: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return ids [B,T] and which are real; where only embeddings are given, ids that stand for words."""
        if (ids is None) == (embeds is None):
            raise InputError(Fault("input_ids or inputs_embeds", "neither" if ids is None else "both"))
        given = ids if ids is not None else embeds[..., 0]  # type: ignore[index]
        real = torch.ones_like(given, dtype=torch.bool) if mask is None else mask.bool()  # [B,T]
        if ids is not None:
            return ids, real
        pad = getattr(unwrap(self).config, "pad_token_id", None) or 0
        return torch.where(real, (pad + 1) % unwrap(self).config.vocab_size, pad), real

    def select_tokens(self, layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, Tensor | None]:
        """Return (kept [P], score [P]) of packed states [P,D] before a layer."""
        select_tokens = keep_all if self.inner is None else self.inner.select_tokens
        return select_tokens(layer, states, rows)  # [P], [P]

    def halting_policy(self) -> Halting | None:
        """Return what decides, for one batch, which sequences stop; None if none ever does."""
        return None if self.inner is None else self.inner.halting_policy()

    def token_selectors(self) -> Sequence[nn.Module | None]:
        """Return the module that selects tokens before each layer [L]; or nothing."""
        return () if self.inner is None else self.inner.token_selectors()

    def exit_heads(self) -> Sequence[nn.Module]:
        """Return the module that answers and halts after each layer [L], on [CLS]; or nothing."""
        return () if self.inner is None else self.inner.exit_heads()

    @property
    def thresholds(self) -> Tensor:
        """Return the thresholds [L], positive numbers; larger ones drop more tokens."""
        raise NotImplementedError

    def set_thresholds(self, values: Tensor) -> None:
        """Set the thresholds [L], clipped to their limits."""
        raise NotImplementedError

    def check_thresholds(self, path: str | Path) -> None:
        """Refuse thresholds that no training produces; `path` is where the model is from."""
        if self.inner is not None:
            self.inner.check_thresholds(path)

    def set_dial(self, dial: float) -> None:
        """Turn the dial of this model and of those inside: 0 dense, 1 as trained, above 1 faster."""
        self.config.dial = dial
        if self.inner is not None:
            self.inner.set_dial(dial)

    def set_exit(self, rule: str, dial: float) -> None:
        """Stop texts by a rule of EXITS at a dial; a part that drops tokens keeps its own dial.

        Raises:
            InputError: the model never stops a text early.
        """
        if self.inner is None:
            raise InputError(Fault("a model that lets texts stop early", type(self).__name__))
        self.inner.set_exit(rule, dial)

    @contextmanager
    def at_dial(self, dial: float) -> Iterator[None]:
        """Run at a dial; afterwards every model has its previous one."""
        models = [m for m in self.modules() if isinstance(m, AdaptiveForSequenceClassification)]
        before = [m.config.dial for m in models]
        try:
            self.set_dial(dial)
            yield
        finally:
            for model, its in zip(models, before, strict=True):
                model.config.dial = its

    def sync_config(self) -> None:
        """Copy the inner model's current configuration into this one."""
        if self.inner is not None:
            self.inner.sync_config()
        self.config.encoder = self.model.config.to_dict()

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Write weights and configuration, including the inner model's current one."""
        self.sync_config()
        super().save_pretrained(*args, **kwargs)

    def log_entry(self) -> dict[str, Any]:
        """Return what a training log should say of this model's own parts."""
        return {}

    def without_removal(self) -> Any:
        """Return the model with nothing removed and every layer run, as attribution methods explain it."""
        return self.model if self.inner is None else self.inner.without_removal()
