"""DACT-BERT: an encoder in which a text stops as soon as later layers could not change its class.

After layer n, of N, with [CLS] state u_n: an answer y_n = softmax(head_n(u_n)), and h_n = σ(w_n·u_n + b_n),
how much later layers may still matter. With p_0 = 1 and a_1 = y_1: p_n = h_n p_{n−1} and
a_n = p_{n−1} y_n + (1 − p_{n−1}) a_{n−1}. The answer is a_N; nothing stops while training
(Eyzaguirre, del Río, Araujo, Soto 2021).

Axes: B sequence of the batch, N those still running, C class, D hidden width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from eraser import Fault, InputError
from rationale.models.adaptive import AdaptiveForSequenceClassification, plain
from rationale.models.encoder import Head, layers_of, width_of
from rationale.models.wrapped import WrappedConfig

TINY = 1e-30  # under a logarithm

# (a_n of the top class, of the runner-up, p_n, layers left) → True where no later layer can change the class
ExitRule = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def published_rule(top: Tensor, second: Tensor, p: Tensor, left: int) -> Tensor:
    """Return a_top (1 − p)^d >= a_second + d p."""
    return top * (1 - p) ** left >= second + left * p


def tight_rule(top: Tensor, second: Tensor, p: Tensor, left: int) -> Tensor:
    """Return W (1 + a_top − a_second) >= 1, W = (1 − p)^d.

    The final answer is w a_n + (1 − w) q, w >= W, q a distribution: at worst all of it on the runner-up.
    """
    return (1 - p) ** left * (1 + top - second) >= 1


EXIT_RULES: dict[str, ExitRule] = {"published": published_rule, "tight": tight_rule}


class Accumulator:
    """The answers a [B,C] and weights p [B] of a batch, layer by layer; `rule` None: nobody stops.

    `dial` divides p in the rule: above 1 texts stop before their class is certain.
    """

    def __init__(
        self,
        layers: int,
        read: Callable[[int, Tensor], tuple[Tensor, Tensor]],
        rule: ExitRule | None,
        dial: float = 1.0,
    ) -> None:
        self.layers, self.read, self.rule, self.dial = layers, read, rule, dial
        self.answer = self.p = torch.empty(0)
        self.answers: list[Tensor] = []  # y_n of each layer, of the sequences running there
        self.ponder: list[Tensor] = []  # and p_n

    def stops(self, layer: int, first: Tensor, running: Tensor) -> Tensor | None:
        """Take in a layer; return True [N] for the sequences whose class is certain."""
        y, h = self.read(layer, first)
        if layer == 0:
            self.answer, self.p = y, h
        else:
            before = self.p[running]
            a = before[:, None] * y + (1 - before[:, None]) * self.answer[running]
            self.answer = self.answer.index_copy(0, running, a)
            self.p = self.p.index_copy(0, running, h * before)
        self.answers.append(y)
        self.ponder.append(self.p[running])
        left = self.layers - 1 - layer
        if self.rule is None or not self.dial or not left:
            return None
        best = self.answer[running].topk(2, dim=-1).values
        p = (self.p[running] / self.dial).clamp(max=1)
        return self.rule(best[:, 0], best[:, 1], p, left)

    def logits(self) -> Tensor:
        """Return ln a [B,C]: a is a distribution already."""
        return (self.answer + TINY).log()


def read(head: nn.Module, unit: nn.Module, first: Tensor) -> tuple[Tensor, Tensor]:
    """Return y [N,C] and h [N] after a layer, from [CLS] states [N,D]."""
    h = logsigmoid(unit(first)[:, 0].float()).exp()
    return head(first).float().softmax(-1), h


class DactConfig(WrappedConfig):  # type: ignore[no-untyped-call]
    """The model inside, the rule by which sequences stop, and whether all layers share one head.

    `dial`: 0 runs every layer, 1 is as trained and changes no window's class, above 1 is faster.
    """

    model_type = "dact"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        exit_rule: str = "published",
        shared_head: bool = False,
        dial: float = 1.0,
        **kwargs: Any,
    ) -> None:
        if exit_rule not in EXIT_RULES:
            raise InputError(Fault(f"an exit rule of {', '.join(EXIT_RULES)}", repr(exit_rule)))
        self.exit_rule, self.shared_head, self.dial = exit_rule, shared_head, dial
        super().__init__(encoder, **kwargs)


class DactForSequenceClassification(AdaptiveForSequenceClassification):
    """A sequence classifier whose texts stop at the layer that decides them.

    The last layer's head is the model's own; the others' begin as its copies.
    """

    config_class = DactConfig

    def __init__(self, config: DactConfig) -> None:
        super().__init__(config)
        dense = plain(self)
        own, n_layers = Head(dense), len(layers_of(dense))
        copies = 0 if config.shared_head else n_layers - 1
        self.heads = nn.ModuleList(copy.deepcopy(own) for _ in range(copies))
        self.halting_units = nn.ModuleList(nn.Linear(width_of(dense), 1) for _ in range(n_layers))
        self.post_init()  # type: ignore[no-untyped-call]
        for unit in self.halting_units:
            nn.init.zeros_(unit.weight)  # type: ignore[arg-type]
            nn.init.zeros_(unit.bias)  # type: ignore[arg-type]

    @classmethod
    def around(cls, inner: PreTrainedModel, **settings: Any) -> DactForSequenceClassification:
        """Return a model with the weights of a trained one inside; every head begins as its head."""
        model = super().around(inner, **settings)
        for head in model.heads:
            head.load_state_dict(Head(plain(model)).state_dict())
        return model

    def read(self, layer: int, first: Tensor) -> tuple[Tensor, Tensor]:
        """Return y [N,C] and h [N] after a layer, from [CLS] states [N,D]."""
        head = self.heads[layer] if layer < len(self.heads) else Head(plain(self))
        return read(head, self.halting_units[layer], first)

    def exits(self) -> Sequence[nn.Module]:
        """Return each layer's head and halting unit."""
        last = Head(plain(self))
        heads = [*self.heads, *[last] * (len(self.halting_units) - len(self.heads))]
        return [nn.ModuleList(pair) for pair in zip(heads, self.halting_units, strict=True)]

    def accumulator(self, halts: bool) -> Accumulator:
        """Return a fresh accumulator, which lets sequences stop or not."""
        rule = EXIT_RULES[self.config.exit_rule] if halts else None
        return Accumulator(len(self.halting_units), self.read, rule, self.config.dial)

    def halting(self) -> Accumulator:
        """Return who decides for one batch which sequences stop."""
        return self.accumulator(halts=True)

    def unshortened(self) -> FullDepth:
        """Return the model with nothing removed and every layer run."""
        return FullDepth(self)


class FullDepth(nn.Module):
    """A DACT model with every layer run on every token, behind Hugging Face's own interface.

    Its logits are ln a_N, whose largest is the class that early exits give too. What several layers would
    share, or the encoder too has run, is copied: DeepLIFT wants every module used once.
    """

    def __init__(self, model: DactForSequenceClassification) -> None:
        super().__init__()
        self.inner = plain(model)
        self.config = self.inner.config
        self.halting_units = model.halting_units
        copies = len(model.halting_units) - len(model.heads)
        own = [copy.deepcopy(Head(self.inner)) for _ in range(copies)]
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

    def forward(self, output_hidden_states: bool = False, **inputs: Any) -> SequenceClassifierOutput:
        """Classify [B,T], from ids or from word embeddings."""
        found = self.base_model(**inputs, output_hidden_states=True)
        accumulator = Accumulator(len(self.heads), self._read, rule=None)
        running = torch.arange(len(found.hidden_states[0]), device=found.hidden_states[0].device)
        for layer, states in enumerate(found.hidden_states[1:]):
            accumulator.stops(layer, states[:, 0], running)
        return SequenceClassifierOutput(
            logits=accumulator.logits(),
            hidden_states=found.hidden_states if output_hidden_states else None,
            attentions=found.attentions,
        )

    def _read(self, layer: int, first: Tensor) -> tuple[Tensor, Tensor]:
        return read(self.heads[layer], self.halting_units[layer], first)


AutoConfig.register("dact", DactConfig)
AutoModelForSequenceClassification.register(DactConfig, DactForSequenceClassification)
