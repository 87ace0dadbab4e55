"""A BERT of one layer in numpy, and its relevance and gradients worked out step by step, one text at a time.

Relevance is handed back as numbers R of each step, as the papers write their rules; nothing is
differentiated. T piece, D width, F inner width, H head, d head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import erf, exp, pi, sqrt

import numpy as np


@dataclass
class OneLayer:
    """The weights by their names in the library's file, the forward pass of a text, and what is absorbed."""

    weights: dict[str, np.ndarray]
    heads: int
    eps: float
    absorbed: list[float] = field(default_factory=list)

    def linear(self, name):
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]

    def forward(self, ids):
        """Keep every step's numbers of ids [T]."""
        w, layer = self.weights, "bert.encoder.layer.0"
        table = "bert.embeddings.{}_embeddings.weight".format
        self.word = w[table("word")][ids]  # [T,D]
        self.given = w[table("position")][: len(ids)] + w[table("token_type")][0]  # [T,D]
        self.summed = self.word + self.given
        self.normed = self.norm(self.summed, "bert.embeddings.LayerNorm")
        q, k, v = (self.by_head(self.dense(self.normed, f"{layer}.attention.self.{n}"))
                   for n in ("query", "key", "value"))  # [H,T,d]  # fmt: skip
        self.q, self.k, self.v = q, k, v
        self.scale = 1 / sqrt(q.shape[-1])
        self.logits = q @ k.transpose(0, 2, 1) * self.scale  # [H,T,T]
        self.shares = softmax(self.logits)
        self.attended = self.shares @ v  # [H,T,d]
        self.joined = self.attended.transpose(1, 0, 2).reshape(len(ids), -1)  # [T,D]
        self.out = self.dense(self.joined, f"{layer}.attention.output.dense")
        self.first = self.out + self.normed
        self.middle = self.norm(self.first, f"{layer}.attention.output.LayerNorm")
        self.inner = self.dense(self.middle, f"{layer}.intermediate.dense")  # [T,F]
        self.active = gelu(self.inner)
        self.outer = self.dense(self.active, f"{layer}.output.dense")
        self.second = self.outer + self.middle
        self.last = self.norm(self.second, f"{layer}.output.LayerNorm")
        self.pooled = self.dense(self.last[:1], "bert.pooler.dense")  # [1,D]
        self.answer = self.dense(np.tanh(self.pooled), "classifier")[0]  # [C]
        return self.answer

    def by_head(self, x):
        return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)

    def flat(self, x):
        return x.transpose(1, 0, 2).reshape(x.shape[1], -1)

    def dense(self, x, name):
        weight, bias = self.linear(name)
        return x @ weight.T + bias

    def deviation(self, x):
        return np.sqrt(x.var(-1, keepdims=True) + self.eps)

    def norm(self, x, name):
        gain, shift = self.linear(name)
        return (x - x.mean(-1, keepdims=True)) / self.deviation(x) * gain + shift

    # AttnLRP: R of a step's outputs → R of its inputs

    def back_dense(self, x, name, relevance):
        """ε-rule: in proportion to x_i w_ji; the bias keeps its share."""
        weight, bias = self.linear(name)
        rate = relevance / (x @ weight.T + bias)
        self.absorbed.append((bias * rate).sum())
        return x * (rate @ weight)

    def back_norm(self, x, name, relevance):
        """What it divides by is a constant; centring is a matrix."""
        gain, shift = self.linear(name)
        matrix = np.eye(x.shape[-1]) - 1 / x.shape[-1]
        rate = relevance / self.norm(x, name)
        self.absorbed.append((shift * rate).sum())
        return x * ((rate * gain / self.deviation(x)) @ matrix)

    def back_product(self, a, b, relevance):
        """Each term a_ij b_jp of a result in proportion, half of it to either factor."""
        rate = relevance / (2 * (a @ b))
        return a * (rate @ b.transpose(0, 2, 1)), b * (a.transpose(0, 2, 1) @ rate)

    def back_softmax(self, relevance):
        """Expanded at the logits; what is missing stays with the expansion's constant."""
        handed = self.logits * (relevance - self.shares * relevance.sum(-1, keepdims=True))
        self.absorbed.append(relevance.sum() - handed.sum())
        return handed

    def split(self, parts, relevance):
        """A sum hands each part its share."""
        return tuple(part * (relevance / sum(parts)) for part in parts)

    def relevance(self, target):
        """Return R of each word [T], of all that is added beside the words, and of what was absorbed."""
        layer, attend = "bert.encoder.layer.0", "bert.encoder.layer.0.attention"
        r = np.zeros((1, len(self.answer)))
        r[0, target] = self.answer[target]
        r = self.back_dense(np.tanh(self.pooled), "classifier", r)  # tanh: all of it
        last = np.zeros_like(self.last)
        last[:1] = self.back_dense(self.last[:1], "bert.pooler.dense", r)
        r_outer, r_middle = self.split(
            (self.outer, self.middle), self.back_norm(self.second, f"{layer}.output.LayerNorm", last)
        )
        r_inner = self.back_dense(self.active, f"{layer}.output.dense", r_outer)  # gelu: all of it
        r_middle = r_middle + self.back_dense(self.middle, f"{layer}.intermediate.dense", r_inner)
        r_out, r_normed = self.split(
            (self.out, self.normed), self.back_norm(self.first, f"{attend}.output.LayerNorm", r_middle)
        )
        r_joined = self.by_head(self.back_dense(self.joined, f"{attend}.output.dense", r_out))
        r_shares, r_v = self.back_product(self.shares, self.v, r_joined)
        r_q, r_kt = self.back_product(self.q, self.k.transpose(0, 2, 1), self.back_softmax(r_shares))
        for name, found in (("query", r_q), ("key", r_kt.transpose(0, 2, 1)), ("value", r_v)):
            r_normed = r_normed + self.back_dense(self.normed, f"{attend}.self.{name}", self.flat(found))
        r_word, r_given = self.split(
            (self.word, self.given), self.back_norm(self.summed, "bert.embeddings.LayerNorm", r_normed)
        )
        return r_word.sum(-1), r_given.sum(), float(sum(self.absorbed))

    # GIM: gradients of a step's outputs → of its inputs

    def gradient_x_input(self, target, temperature=1.0, half=1.0, frozen=False):
        """Return e · g of each word [T]; `half` is what a factor of attention is handed."""
        layer, attend = "bert.encoder.layer.0", "bert.encoder.layer.0.attention"
        w = self.weights

        def norm(x, name, g):
            g = g * w[f"{name}.weight"] / self.deviation(x)
            unit = (x - x.mean(-1, keepdims=True)) / self.deviation(x)
            along = 0 if frozen else unit * (g * unit).mean(-1, keepdims=True)
            return g - g.mean(-1, keepdims=True) - along

        g = w["classifier.weight"][target][None] * (1 - np.tanh(self.pooled) ** 2)  # [1,D]
        last = np.zeros_like(self.last)
        last[:1] = g @ w["bert.pooler.dense.weight"]
        g_second = norm(self.second, f"{layer}.output.LayerNorm", last)
        g_inner = (g_second @ w[f"{layer}.output.dense.weight"]) * gelu_slope(self.inner)
        g_middle = g_second + g_inner @ w[f"{layer}.intermediate.dense.weight"]
        g_first = norm(self.first, f"{attend}.output.LayerNorm", g_middle)
        g_joined = self.by_head(g_first @ w[f"{attend}.output.dense.weight"])
        g_shares, g_v = (
            half * g_joined @ self.v.transpose(0, 2, 1),
            half * self.shares.transpose(0, 2, 1) @ g_joined,
        )
        soft = softmax(self.logits / temperature)
        g_logits = soft * (g_shares - (soft * g_shares).sum(-1, keepdims=True)) * self.scale
        g_q, g_k = half * g_logits @ self.k, half * g_logits.transpose(0, 2, 1) @ self.q
        g_normed = g_first
        for name, found in (("query", g_q), ("key", g_k), ("value", g_v)):
            g_normed = g_normed + self.flat(found) @ w[f"{attend}.self.{name}.weight"]
        return (self.word * norm(self.summed, "bert.embeddings.LayerNorm", g_normed)).sum(-1)


def softmax(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


@np.vectorize
def gelu(x):
    return x * (1 + erf(x / sqrt(2))) / 2


@np.vectorize
def gelu_slope(x):
    return (1 + erf(x / sqrt(2))) / 2 + x * exp(-x * x / 2) / sqrt(2 * pi)
