"""What all adaptive models share: a classifier inside, and the questions asked at each layer.

Before a layer `choose` says which tokens go on; after it `halting` says which sequences stop. A model is
around a dense classifier, a cut one, or another adaptive model, whose answers it passes on where it has none
of its own: so policies compose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rationale.models.encoder import Halting, Output, check_encoder, run_packed
from rationale.models.packed import Rows
from rationale.models.pruning import build
from rationale.models.wrapped import WrappedConfig


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """Return Hugging Face's own classifier, perhaps cut, inside any number of adaptive models."""
    while isinstance(model, AdaptiveForSequenceClassification):
        model = model.model
    return model


class AdaptiveForSequenceClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A classifier that works on less than everything; subclasses override `choose` or `halting`."""

    config_class = WrappedConfig
    base_model_prefix = "model"
    removes = False  # whether this model itself drops tokens

    def __init__(self, config: WrappedConfig) -> None:
        super().__init__(config)
        self.model = build(config.encoder_config())
        check_encoder(plain(self.model))

    @classmethod
    def around(cls, inner: PreTrainedModel, **settings: Any) -> Self:
        """Return a model with the weights of a trained one inside, and fresh parts of its own."""
        names = {"id2label": inner.config.id2label, "label2id": inner.config.label2id}
        model = cls(cls.config_class(inner.config.to_dict(), **settings, **names))
        model.model.load_state_dict(inner.state_dict())
        return model

    @property
    def drops_tokens(self) -> bool:
        """Return whether tokens are dropped, by this model or by one inside."""
        inner = self.model
        return self.removes or (isinstance(inner, AdaptiveForSequenceClassification) and inner.drops_tokens)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Output:
        """Classify [B,T] on the packed batch, really removing what `choose` and `halting` say."""
        real = (
            torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        )
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        return run_packed(plain(self), input_ids, types, real, self.choose, self.halting())

    def choose(self, layer: int, states: Tensor, rows: Rows) -> tuple[Tensor, Tensor | None]:
        """Return (kept [P], score [P]) of packed states [P,D] before a layer."""
        if isinstance(self.model, AdaptiveForSequenceClassification):
            return self.model.choose(layer, states, rows)
        return keep_all(layer, states, rows)

    def halting(self) -> Halting | None:
        """Return who decides, for one batch, which sequences stop; None where none ever does."""
        return self.model.halting() if isinstance(self.model, AdaptiveForSequenceClassification) else None

    def removers(self) -> Sequence[nn.Module | None]:
        """Return what chooses before each layer [L], on the tokens that reach it; or nothing."""
        return self.model.removers() if isinstance(self.model, AdaptiveForSequenceClassification) else ()

    def exits(self) -> Sequence[nn.Module]:
        """Return what answers and halts after each layer [L], on [CLS]; or nothing."""
        return self.model.exits() if isinstance(self.model, AdaptiveForSequenceClassification) else ()

    @property
    def thresholds(self) -> Tensor:
        """Return positive numbers [L], larger ones dropping more tokens."""
        raise NotImplementedError

    def set_thresholds(self, values: Tensor) -> None:
        """Set the thresholds [L], as near as they may be."""
        raise NotImplementedError

    def set_dial(self, dial: float) -> None:
        """Turn the dial of this model and of those inside: 0 dense, 1 as trained, above 1 faster."""
        self.config.dial = dial
        if isinstance(self.model, AdaptiveForSequenceClassification):
            self.model.set_dial(dial)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Write weights and configuration, that of the model inside as it is now."""
        inner: PreTrainedModel | None = self
        models = []
        while isinstance(inner, AdaptiveForSequenceClassification):
            models.append(inner)
            inner = inner.model
        for model in reversed(models):
            model.config.encoder = model.model.config.to_dict()
        super().save_pretrained(*args, **kwargs)

    def described(self) -> dict[str, Any]:
        """Return what a training log should say of this model's own parts."""
        return {}

    def unshortened(self) -> Any:
        """Return the model with nothing removed and every layer run, as attribution methods explain it."""
        inner = self.model
        return inner.unshortened() if isinstance(inner, AdaptiveForSequenceClassification) else inner


def keep_all(layer: int, states: Tensor, rows: Rows) -> tuple[Tensor, None]:
    """Drop nothing."""
    return torch.ones(len(states), dtype=torch.bool, device=states.device), None
