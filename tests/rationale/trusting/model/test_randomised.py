from __future__ import annotations

import pytest
import torch

from rationale.trusting.model.randomised import WHOLE, groups_of, randomised, stages_of


def named(classifier, groups):
    names = {id(p): n for n, p in classifier.model.named_parameters()}
    return [{names[id(p)] for p in weights} for _, weights in groups]


def test_groups_run_from_the_top_down_and_hold_every_weight_once(classifier):
    groups = groups_of(classifier.model)
    assert [name for name, _ in groups] == ["head", "layer 3", "layer 2", "layer 1", "embeddings"]
    of_group = named(classifier, groups)
    assert sum(map(len, of_group)) == len(dict(classifier.model.named_parameters()))
    assert {n.split(".")[0] + "." + n.split(".")[1] for n in of_group[0]} == {
        "bert.pooler", "classifier.weight", "classifier.bias",
    }  # fmt: skip
    assert all("embeddings" in n for n in of_group[-1])


@pytest.mark.parametrize("family", ["roberta", "electra"])
def test_groups_of_other_families(make_classifier, family):
    classifier = make_classifier(family)
    of_group = named(classifier, groups_of(classifier.model))
    assert all("classifier" in n for n in of_group[0])
    assert all("embeddings" in n for n in of_group[-1])
    assert all(f"layer.{2 - i}." in n for i, names in enumerate(of_group[1:-1]) for n in names)


def test_steps_of_the_cascade(classifier):
    assert stages_of(classifier.model) == {
        "head": 1, "head and upper 2 of 3 layers": 3, WHOLE: 5,
    }  # fmt: skip


def test_only_the_upper_groups_are_shuffled_and_never_in_place(classifier):
    before = {n: p.clone() for n, p in classifier.model.named_parameters()}
    found = dict(randomised(classifier, 2, 0).model.named_parameters())
    assert all(torch.equal(p, before[n]) for n, p in classifier.model.named_parameters())
    touched = set().union(*named(classifier, groups_of(classifier.model)[:2]))
    matrices = {n for n, p in before.items() if p.dim() > 1}
    assert {n for n in found if not torch.equal(found[n], before[n])} >= touched & matrices
    assert all(torch.equal(found[n], before[n]) for n in found if n not in touched)
    for name in touched:
        assert torch.equal(found[name].flatten().sort().values, before[name].flatten().sort().values)


def test_one_seed_gives_one_copy(classifier):
    one, same, other = (randomised(classifier, 5, seed).model.state_dict() for seed in (1, 1, 2))
    name = "classifier.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_what_drops_tokens_loses_its_predictors_with_the_head(adaptive):
    names = named(adaptive, groups_of(adaptive.model))
    assert any("contribution_predictors" in n for n in names[0])
    assert [len(n) for n in names[1:4]] == [16, 16, 16]
