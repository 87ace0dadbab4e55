"""Attribution rewritten slowly from the definitions, one text at a time, to be compared with."""

from __future__ import annotations

import torch


def attention_row(model, ids, types):
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = model(input_ids=ids[None], token_type_ids=types[None], output_attentions=True).attentions
    model.set_attn_implementation("sdpa")
    heads = maps[-1][0]
    return [sum(float(h[0, t]) for h in heads) / len(heads) for t in range(len(ids))]


def rollout_row(model, ids, types):
    """Abnar and Zuidema 2020: A~(1) = A(1), A~(l) = A(l) A~(l-1), each A with the residual mixed in."""
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = model(input_ids=ids[None], token_type_ids=types[None], output_attentions=True).attentions
    model.set_attn_implementation("sdpa")
    n = len(ids)
    flow = torch.eye(n)
    for layer in maps:
        mean = sum(layer[0]) / layer.shape[1]
        mixed = torch.zeros(n, n)
        for row in range(n):
            for column in range(n):
                mixed[row, column] = 0.5 * mean[row, column] + (0.5 if row == column else 0.0)
            mixed[row] /= mixed[row].sum()
        flow = mixed @ flow
    return flow[0].tolist()


def gradient(model, ids, types, target):
    """Return e and ∂logit/∂e, both [T,D], by plain autograd."""
    e = model.get_input_embeddings()(ids).detach().clone().requires_grad_()
    logit = model(inputs_embeds=e[None], token_type_ids=types[None]).logits[0, target]
    logit.backward()
    return e.detach(), e.grad


def integrated(model, ids, types, target, blank, steps):
    """Return Σ_d (e − e') ∫ ∂logit/∂e along the straight line, by the midpoint rule with many steps."""
    table = model.get_input_embeddings()
    e, base = table(ids).detach(), table(blank).detach()
    total = torch.zeros_like(e)
    for k in range(steps):
        at = (base + (k + 0.5) / steps * (e - base)).requires_grad_()
        model(inputs_embeds=at[None], token_type_ids=types[None]).logits[0, target].backward()
        total += at.grad / steps
    return ((e - base) * total).sum(-1)
