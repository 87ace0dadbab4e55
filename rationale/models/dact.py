"""DACT-BERT: an encoder in which a text stops as soon as later layers could not change its class.

After layer n, of L, with [CLS] state u_n: an answer y_n = softmax(head_n(u_n)), and h_n = σ(w_n·u_n + b_n),
how much later layers may still matter. With p_0 = 1 and a_1 = y_1: p_n = h_n p_{n−1} and
a_n = p_{n−1} y_n + (1 − p_{n−1}) a_{n−1}. The answer is a_L; nothing stops while training
(Eyzaguirre, del Río, Araujo, Soto 2021).

Axes: B sequence of the batch, N running sequence, T token, L layer, D hidden width, C class.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from eraser import Fault, InputError
from rationale.models.adaptive import AdaptiveForSequenceClassification, unwrap
from rationale.models.exits.accumulator import Accumulator
from rationale.models.exits.rules import EXITS, layers_run
from rationale.models.exits.standardised import Standardised
from rationale.models.nested_config import NestedConfig
from rationale.models.packed.encoder import read_real
from rationale.models.packed.head import Head, Tail, head_of, places_of
from rationale.models.packed.layers import LayerCall, anatomy_of, depth_of, standing_in, width_of


def halting_chance(unit: nn.Module, read: Tensor, real: Tensor | None) -> Tensor:
    """Return h [N] after a layer, from states [N,D], or the mean over the real ones of [N,T,D]."""
    return logsigmoid(unit(read_of(read, real))[:, 0].float()).exp()  # [N]


def read_of(read: Tensor, real: Tensor | None) -> Tensor:
    """Return what a halting unit reads [N,D]: states [N,D], or the mean over the real ones of [N,T,D]."""
    return read if real is None else (read * real[..., None]).sum(1) / real.sum(1, keepdim=True)  # [N,D]


class DactConfig(NestedConfig):  # type: ignore[no-untyped-call]
    """The model inside, the rule by which sequences stop, of EXITS, and whether all layers share one head.

    `dial`: 0 runs every layer; at 1 DACT-BERT's own rules are as trained and change no window's class, above
    1 they are faster; what it means to the others is in their own words. `tail` says where the modules of a
    head are in the model, which every layer has copies of; None: pooler, classifier. `standardised`: the
    copies and halting units are given standardised states.
    """

    model_type = "dact"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        exit_rule: str = "published",
        shared_head: bool = False,
        dial: float = 1.0,
        tail: list[str] | None = None,
        standardised: bool = False,
        **kwargs: Any,
    ) -> None:
        if exit_rule not in EXITS:
            raise InputError(Fault(f"an exit rule of {', '.join(EXITS)}", repr(exit_rule)))
        self.exit_rule, self.shared_head, self.dial, self.tail = exit_rule, shared_head, dial, tail
        self.standardised = standardised
        super().__init__(encoder, **kwargs)


class DactForSequenceClassification(AdaptiveForSequenceClassification):
    """A sequence classifier whose texts stop at the layer that decides them.

    The last layer's head is the model's own; the others' begin as its copies.
    """

    config_class = DactConfig

    def __init__(self, config: DactConfig) -> None:
        super().__init__(config)
        dense = unwrap(self)
        own, n_layers = self.own_head(), depth_of(dense)
        copies = 0 if config.shared_head else n_layers - 1
        units = [nn.Linear(width_of(dense), 1) for _ in range(n_layers)]
        self.heads = nn.ModuleList(self._given(copy.deepcopy(own)) for _ in range(copies))
        self.halting_units = nn.ModuleList(self._given(unit) for unit in units)
        self.post_init()  # type: ignore[no-untyped-call]
        for unit in units:
            nn.init.zeros_(unit.weight)
            nn.init.zeros_(unit.bias)

    @classmethod
    def wrap(cls, inner: PreTrainedModel, **settings: Any) -> DactForSequenceClassification:
        """Return a model with the weights of a trained one inside; every head begins as its head."""
        places = places_of(unwrap(inner))
        model = super().wrap(inner, tail=None if places is None else list(places), **settings)
        for head in model.heads:
            copied = head.module if isinstance(head, Standardised) else head
            copied.load_state_dict(model.own_head().state_dict())
        return model

    def _given(self, module: nn.Module) -> nn.Module:
        """Return a module as it is given states: standardised, or as they are."""
        return Standardised(module, width_of(unwrap(self))) if self.config.standardised else module

    def own_head(self) -> Head | Tail:
        """Return the head of the model inside, which is the last layer's."""
        return head_of(unwrap(self), self.config.tail)

    def read(self, layer: int, read: Tensor, real: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return y [N,C] and h [N] after a layer, from what the head reads, [N,D] or [N,T,D]."""
        head = self.heads[layer] if layer < len(self.heads) else self.own_head()
        y = head(read, real, unwrap(self)).float().softmax(-1)  # [N,C]
        return y, halting_chance(self.halting_units[layer], read, real)  # [N,C], [N]

    def exit_heads(self) -> Sequence[nn.Module]:
        """Return each layer's head and halting unit; an empty one where the rule never asks for them."""
        layers = len(self.halting_units)
        heads = [*self.heads, *[self.own_head()] * (layers - len(self.heads))]
        pairs = [nn.ModuleList(pair) for pair in zip(heads, self.halting_units, strict=True)]
        if not EXITS[self.config.exit_rule].fixed:
            return pairs
        run = layers_run(layers, self.config.dial)
        return [pair if n == run else nn.ModuleList() for n, pair in enumerate(pairs, start=1)]

    def set_exit(self, rule: str, dial: float) -> None:
        """Stop texts by a rule of EXITS at a dial; models inside keep theirs."""
        self.config.exit_rule, self.config.dial = rule, dial

    def accumulator(self, halts: bool) -> Accumulator:
        """Return a new accumulator; `halts`: whether it stops sequences."""
        rule = EXITS[self.config.exit_rule] if halts else None
        return Accumulator(len(self.halting_units), self.read, rule, self.config.dial)

    def halting_policy(self) -> Accumulator:
        """Return what decides for one batch which sequences stop."""
        return self.accumulator(halts=True)

    def without_removal(self) -> FullDepth:
        """Return the model with nothing removed and every layer run."""
        return FullDepth(self)


class FullDepth(nn.Module):
    """A DACT model with every layer run on every token, behind Hugging Face's own interface.

    Its logits are ln a_L, whose largest is the class that early exits at dial 1 give too; of a rule that
    mixes no answers, ln y_L. What several layers would share, or the encoder too has run, is copied: DeepLIFT
    wants every module used once.
    """

    def __init__(self, model: DactForSequenceClassification) -> None:
        super().__init__()
        self.inner = unwrap(model)
        self.config = self.inner.config
        self.halting_units, self.rule = model.halting_units, EXITS[model.config.exit_rule]
        copies = len(model.halting_units) - len(model.heads)
        own = [copy.deepcopy(model.own_head()) for _ in range(copies)]
        self.heads = nn.ModuleList([*model.heads, *own])

    @property
    def base_model(self) -> Any:
        """Return the encoder inside."""
        return self.inner.base_model

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of word embeddings."""
        return self.inner.get_input_embeddings()

    def set_attn_implementation(self, name: str) -> None:
        """Choose the attention function."""
        self.inner.set_attn_implementation(name)

    def forward(self, **inputs: Any) -> SequenceClassifierOutput:
        """Classify [B,T], from ids or from word embeddings."""
        left: list[Tensor] = []

        def noting(layer: int, states: Tensor, run: LayerCall) -> Tensor:
            left.append(run(states))  # [B,T,D]
            return left[-1]

        with standing_in(anatomy_of(self.inner).calls, noting):
            found = self.inner(**inputs)
        accumulator = Accumulator(len(self.heads), self._read, self.rule, dial=0)
        running = torch.arange(len(left[0]), device=left[0].device)  # [B]
        for layer, states in enumerate(left):
            read, real = self._states(states, **inputs)  # [B,D], or [B,T,D] and [B,T]
            accumulator.should_stop(layer, read, running, real)
        return SequenceClassifierOutput(
            logits=accumulator.logits(), hidden_states=found.hidden_states, attentions=found.attentions
        )

    def _states(
        self, states: Tensor, attention_mask: Tensor | None = None, input_ids: Tensor | None = None, **_: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Return what the head reads of a layer's states [B,T,D]: [B,D], or all with which are real."""
        reads = anatomy_of(self.inner).reads
        real = torch.ones_like(states[..., 0]) if attention_mask is None else attention_mask  # [B,T]
        if input_ids is not None:
            real = read_real(self.inner, input_ids, real.bool())  # [B,T]
        if reads == "all":
            return states, real  # [B,T,D], [B,T]
        if reads == "first":
            return states[:, 0], None  # [B,D]
        return states[torch.arange(len(states)), real.long().sum(1) - 1], None  # [B,D]

    def _read(self, layer: int, read: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
        y = self.heads[layer](read, real, self.inner).float().softmax(-1)  # [B,C]
        return y, halting_chance(self.halting_units[layer], read, real)  # [B,C], [B]


AutoConfig.register("dact", DactConfig)
AutoModelForSequenceClassification.register(DactConfig, DactForSequenceClassification)
