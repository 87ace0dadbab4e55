from __future__ import annotations

import fnmatch
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig

from rationale.models.adapler import AdaplerConfig, AdaplerForSequenceClassification, saliency
from rationale.models.adapler_losses import LossWeights, kl_losses, losses
from tests.helpers.paths import ROOT

GOLDEN = Path(os.environ.get("RATIONALE_GOLDEN", ROOT.parent / "shared" / "golden")) / "adapler"
CASES = sorted(GOLDEN.glob("case_*.npz"))
MISSING = f"no case_*.npz in {GOLDEN}"


SHAPES = (
    "vocab_size", "hidden_size", "num_attention_heads", "intermediate_size", "max_position_embeddings",
    "num_hidden_layers", "type_vocab_size", "layer_norm_eps",
)  # fmt: skip


class AttributionInput:
    def __init__(self, path):
        with np.load(path) as file:
            self.arrays = dict(file)
        self.facts = json.loads(path.with_suffix(".json").read_text())

    def tensor(self, key):
        return torch.from_numpy(np.asarray(self.arrays[key]))

    def model(self, first=True):
        c = self.facts["config"]
        config = BertConfig(
            **{k: c[k] for k in SHAPES},
            num_labels=c["num_labels"], hidden_act="gelu", hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, pad_token_id=c["pad_id"],
        )  # fmt: skip
        model = AdaplerForSequenceClassification(
            AdaplerConfig(config.to_dict(), num_labels=c["num_labels"])
        ).eval()
        weights = {k[2:]: self.tensor(k) for k in self.arrays if k.startswith("w/")}
        state = {k if k.startswith("contribution") else f"model.{k}": v for k, v in weights.items()}
        state |= {"eta": self.tensor("p/eta"), "theta": self.tensor("p/theta")}
        state["first"] = self.tensor("p/theta_pr") if first else torch.ones(len(self.arrays["p/theta"]))
        model.load_state_dict(state)
        return model

    def compare(self, key, value):
        """Assert the array equals the golden one within the tolerance stored with it."""
        kind, tolerance = next(
            (k, t) for pattern, k, t in self.facts["tolerances"] if fnmatch.fnmatchcase(key, pattern)
        )
        found = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        golden = self.arrays[key]
        assert found.shape == golden.shape, key
        if kind == "exact":
            assert (found == golden).all(), key
            return
        found, golden = found.astype(np.float64), golden.astype(np.float64)
        if kind == "abs":
            distance = np.abs(found - golden).max()
        elif kind == "rel_max":
            distance = (np.abs(found - golden) / (np.abs(golden) + 1e-12)).max()
        elif kind == "update_rel_l2":
            before = self.arrays["w/" + key.removeprefix("optim/w_after/")]
            distance = np.linalg.norm(found - golden) / (np.linalg.norm(golden - before) + 1e-30)
        elif np.linalg.norm(golden) < 1e-6:
            distance, tolerance = np.abs(found - golden).max(), 1e-6
        else:
            distance = np.linalg.norm(found - golden) / np.linalg.norm(golden)
        assert distance <= tolerance, (key, distance, tolerance)


@pytest.fixture(
    params=CASES or [pytest.param(None, marks=pytest.mark.skip(reason=MISSING))], ids=lambda p: p and p.stem
)
def case(request):
    return AttributionInput(request.param)


def hard_families(case):
    keys = {tuple(k.split("/")[:2]) for k in case.arrays if k.startswith("hard")}
    return sorted(keys)


def test_hard_mode_keeps_the_same_tokens(case):
    for family, k in hard_families(case):
        model = case.model(first=family != "hard_pr1")
        at = f"{family}/{k}"
        ids, types, real = (
            case.tensor(f"{at}/{n}") for n in ("input_ids", "token_type_ids", "attention_mask")
        )
        with torch.no_grad():
            out = model(ids[None], real[None], types[None])
        real = real.bool()
        case.compare(f"{at}/logits", out.logits[0])
        lengths = []
        alive = real.nonzero()[:, 0]
        for i, layer in enumerate(out.trace):
            kept = layer.kept[0].nonzero()[:, 0]
            if family != "hard_padded":  # the official code keeps padding for ever (C1)
                case.compare(f"{at}/layer{i}/in_idx", alive)
                case.compare(f"{at}/layer{i}/scores", layer.contribution[0][alive])
                case.compare(f"{at}/layer{i}/kept_idx", kept)
            else:
                golden = case.arrays[f"{at}/layer{i}/kept_idx"]
                assert kept.tolist() == [j for j in golden if real[j]]
            lengths.append(len(kept))
            alive = kept
        case.compare(f"{at}/lengths", torch.tensor(lengths))


def soft_inputs(case):
    return tuple(case.tensor(f"soft/{n}").long() for n in ("input_ids", "token_type_ids")) + (
        case.tensor("soft/attention_mask").bool(),
    )


def test_soft_mode(case):
    ids, types, real = soft_inputs(case)
    model = case.model()
    for tag, lam in case.facts["lambdas"].items():
        with torch.no_grad():
            out = model.soft(ids, types, real, lam)
        case.compare(f"soft/{tag}/logits", out.logits)
        for name, field in {
            "explanations": "scores", "explanations_theta": "scores_theta", "delta": "delta",
            "edits": "edit", "mask": "mask", "attn_bias": "bias", "lengths": "length",
        }.items():  # fmt: skip
            case.compare(f"soft/{tag}/{name}", torch.stack([getattr(s, field) for s in out.steps]))
        case.compare(f"soft/{tag}/cls_hidden", torch.stack([h[:, 0] for h in out.hidden]))


def test_saliency(case):
    ids, types, real = soft_inputs(case)
    found = saliency(case.model().model, ids, types, real, case.tensor("soft/labels").long())
    case.compare("saliency/L2_true_label", found)


@pytest.mark.parametrize("tag", ["lam10", "lam1000", "lam10_pr1"])
def test_losses_and_gradients(case, tag):
    ids, types, real = soft_inputs(case)
    model = case.model(first=tag != "lam10_pr1")
    lam = case.facts["lambdas"][tag.removesuffix("_pr1")]
    out = model.soft(ids, types, real, lam)
    kl = kl_losses(
        out.steps, case.tensor("train/saliency_targets"), real, model.eta.detach(), model.theta.detach(), lam
    )
    weights = LossWeights(case.facts["gamma"], case.facts["phi"], case.tensor("p/class_weights"))
    found = losses(out.logits, case.tensor("soft/labels").long(), out.steps, kl, weights)
    at = f"train/{tag}"
    for name, value in {
        "loss": found.task, "kl_head_losses": found.kl, "head_loss": found.head, "total_loss": found.total,
        "length_loss": found.length, "combined_loss": found.combined,
    }.items():  # fmt: skip
        case.compare(f"{at}/{name}", value)
    eta, first = torch.autograd.grad(found.combined, [model.eta, model.first], retain_graph=True)
    case.compare(f"{at}/grad_eta", eta)
    case.compare(f"{at}/grad_theta_pr", first)
    case.compare(f"{at}/grad_theta_applied", first / (model.theta + 1e-7))
    named = dict(model.named_parameters())
    names = [key.removeprefix(f"{at}/grad/") for key in case.arrays if key.startswith(f"{at}/grad/")]
    assert len(names) > 10
    weights = [named[name if name.startswith("contribution") else f"model.{name}"] for name in names]
    gradients = torch.autograd.grad(found.total, weights, allow_unused=True)
    for name, weight, gradient in zip(names, weights, gradients, strict=True):
        case.compare(f"{at}/grad/{name}", torch.zeros_like(weight) if gradient is None else gradient)


def test_four_optimiser_steps(case):
    from rationale.training.recipes.adapler.settings import AdaplerStepSettings
    from rationale.training.recipes.adapler.step import AdaplerStep
    from rationale.training.run import TrainingBatch

    facts = case.facts["optim"]
    ids, types, real = soft_inputs(case)
    labels, targets = case.tensor("soft/labels").long(), case.tensor("train/saliency_targets")
    model = case.model(first=False)
    settings = AdaplerStepSettings(
        gamma=case.facts["gamma"], phi=case.facts["phi"], lr=facts["init_lr"], threshold_lr=facts["zeta_lr"],
        weight_decay=facts["weight_decay"], clip=facts["global_clipnorm"], eps=facts["adam_epsilon"],
        warmup=facts["num_warmup_steps"] / facts["num_train_steps"],
    )  # fmt: skip
    step = AdaplerStep(model, settings, facts["num_train_steps"], case.tensor("p/class_weights"))
    seen = {k: [] for k in ("losses", "eta_after", "theta_after", "lr", "zeta_lr")}
    for _ in range(facts["steps"]):
        found = step.losses(TrainingBatch(ids, types, real, labels, targets), facts["lam"])
        seen["losses"].append([x.item() for x in (found.task, found.head, found.length)])
        seen["lr"].append(step.optimizers[0].param_groups[0]["lr"])
        seen["zeta_lr"].append(step.optimizers[1].param_groups[0]["lr"])
        step.backward(found)
        step.apply()
        seen["eta_after"].append(model.eta.tolist())
        seen["theta_after"].append(model.theta.tolist())
    for name, values in seen.items():
        case.compare(f"optim/{name}", np.array(values))
    named = dict(model.named_parameters())
    for key in case.arrays:
        if key.startswith("optim/w_after/") and not key.endswith("scorer.bias"):
            name = key.removeprefix("optim/w_after/")
            case.compare(key, named[name if name.startswith("contribution") else f"model.{name}"])
