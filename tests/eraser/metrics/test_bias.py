from __future__ import annotations

import re
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from eraser import Dataset, Example, InputError, Prediction
from eraser.load import load
from eraser.metrics.bias import Bias, Community, frequent_communities, generalised_mean, score_bias
from eraser.metrics.bootstrap import resamples
from tests.helpers.paths import data

checked = settings(deadline=None, derandomize=True, database=None, max_examples=25)

Post = tuple[str, str, float]  # label, communities, score
AUCS = ("subgroup_auc", "bpsn_auc", "bnsp_auc")


def examples_of(posts: list[Post]) -> list[Example]:
    return [
        Example(f"p{n}", (f"p{n}",), label, tags=frozenset(communities.split()))
        for n, (label, communities, _) in enumerate(posts)
    ]


def said(id: str, toxicity: float) -> Prediction:
    """Three parts hatespeech to one part offensive."""
    probs = {"hatespeech": 0.75 * toxicity, "normal": 1 - toxicity, "offensive": 0.25 * toxicity}
    return Prediction(id, "normal", probs, np.zeros(1), np.zeros(1, dtype=bool))


def bias(posts: list[Post], **options) -> Bias:
    predictions = [said(f"p{n}", toxicity) for n, (_, _, toxicity) in enumerate(posts)]
    return score_bias(examples_of(posts), predictions, **options)


def aucs(found: Bias) -> dict[str, tuple[float, ...]]:
    return {c.name: (c.subgroup_auc, c.bpsn_auc, c.bnsp_auc) for c in found.communities}


# The definitions rewritten slowly


def slow_auc(toxic: list[float], others: list[float]) -> float:
    if not toxic or not others:
        return nan
    right = sum(1.0 if t > o else 0.5 if t == o else 0.0 for t in toxic for o in others)
    return right / (len(toxic) * len(others))


def slow_posts(posts: list[Post], community: str, auc: str, of_interest: set[str] | None):
    """The scores of the toxic posts and of the others that an AUC compares."""
    toxic, others = [], []
    for label, names, score in posts:
        if of_interest is not None and not of_interest & set(names.split()):
            continue
        is_about, is_toxic = community in names.split(), label != "normal"
        if auc == "subgroup_auc" and not is_about:
            continue
        if auc == "bpsn_auc" and is_about == is_toxic:
            continue
        if auc == "bnsp_auc" and is_about != is_toxic:
            continue
        (toxic if is_toxic else others).append(score)
    return toxic, others


def slow_mean(values: list[float]) -> float:
    values = [x for x in values if not isnan(x)]
    if not values:
        return nan
    return 0.0 if 0 in values else (sum(1 / x**5 for x in values) / len(values)) ** (-1 / 5)


# Worked by hand. About a: toxic .9 .3, normal .5; about b: toxic .6, normal .2 .6; about none: the rest

POSTS: list[Post] = [
    ("hatespeech", "a", 0.9),
    ("offensive", "a", 0.3),
    ("normal", "a", 0.5),
    ("offensive", "b", 0.6),
    ("normal", "b", 0.2),
    ("normal", "b", 0.6),
    ("hatespeech", "", 0.5),
    ("normal", "Other", 0.3),
]


def test_aucs_worked_by_hand():
    found = bias(POSTS)
    assert found.communities == (
        # .9 .3 against .5; .6 against .5; .9 .3 against .2 .6
        Community("a", 3, 2, 1 / 2, 1, 3 / 4),
        # .6 against .2 .6; .9 .3 against .2 .6; .6 against .5
        Community("b", 3, 1, 3 / 4, 3 / 4, 1),
    )
    assert (found.n, found.n_targeted) == (8, 6)


def test_all_other_posts_may_be_the_background():
    assert aucs(bias(POSTS, background="all")) == {
        "a": (1 / 2, pytest.approx(1.5 / 2), pytest.approx((3 + 1 + 0.5) / 6)),
        "b": (3 / 4, pytest.approx((3 + 1) / 6), pytest.approx((1 + 1) / 2)),
    }


def test_means_worked_by_hand():
    found = {m.metric: m for m in bias(POSTS).means}
    assert found["subgroup_auc"].value == pytest.approx(((2**5 + (4 / 3) ** 5) / 2) ** (-1 / 5))
    assert found["bpsn_auc"].value == pytest.approx(((1 + (4 / 3) ** 5) / 2) ** (-1 / 5))
    assert list(found) == list(AUCS)
    assert {(m.n, m.left_out) for m in found.values()} == {(2, 0)}


def test_a_post_about_two_communities_is_inside_both_and_background_to_neither():
    posts: list[Post] = [
        ("normal", "a b", 0.9),
        ("offensive", "a", 0.4),
        ("offensive", "b", 0.5),
        ("normal", "c", 0.1),
    ]
    found = aucs(bias(posts))
    assert found["a"] == (0, 0, 1)  # its own normal post is no background, though it is about b
    assert found["c"][1] == 1
    assert isnan(found["c"][0])


def test_a_community_that_lacks_a_class_has_no_auc_and_is_left_out_of_the_mean():
    found = bias([*POSTS, ("offensive", "c", 0.1), ("offensive", "c", 0.6)])
    assert found.communities[2].name == "c"
    assert [isnan(x) for x in aucs(found)["c"]] == [True, True, False]
    assert {m.metric: (m.n, m.left_out) for m in found.means} == {
        "subgroup_auc": (2, 1),
        "bpsn_auc": (2, 1),
        "bnsp_auc": (3, 0),
    }
    assert found.means[0].value == pytest.approx(slow_mean([1 / 2, 3 / 4]))


def test_a_mean_of_no_community_has_no_value():
    found = bias([("offensive", "a", 0.5), ("normal", "", 0.1)])
    assert [(m.n, m.left_out) for m in found.means] == [(0, 1)] * 3
    assert all(isnan(x) for m in found.means for x in (m.value, m.low, m.high))


@st.composite
def posts(draw: st.DrawFn) -> list[Post]:
    """At least one toxic and one normal post, and one community; few scores, so that many tie."""
    label = st.sampled_from(["hatespeech", "offensive", "normal"])
    communities = st.lists(st.sampled_from(["a", "b", "c", "Other"]), max_size=2).map(" ".join)
    post = st.tuples(label, communities, st.integers(0, 8).map(lambda x: x / 8))
    first: list[Post] = [("offensive", draw(communities), 0.5), ("normal", "a", 0.25)]
    return first + draw(st.lists(post, max_size=20))


@checked
@given(posts(), st.sampled_from(["targeted", "all"]))
def test_aucs_are_those_of_the_slow_definitions(drawn, background):
    found = bias(drawn, background=background)
    pool = {c.name for c in found.communities} if background == "targeted" else None
    for number, auc in enumerate(AUCS):
        expected = [slow_auc(*slow_posts(drawn, c.name, auc, pool)) for c in found.communities]
        values = [getattr(c, auc) for c in found.communities]
        assert values == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert found.means[number].value == pytest.approx(slow_mean(expected), abs=1e-12, nan_ok=True)


@checked
@given(posts())
def test_only_the_order_of_scores_matters_and_turning_it_round_turns_the_aucs_round(drawn):
    found = aucs(bias(drawn))
    stretched = aucs(bias([(label, names, score**2) for label, names, score in drawn]))
    turned = aucs(bias([(label, names, 1 - score) for label, names, score in drawn]))
    for name, values in found.items():
        assert stretched[name] == pytest.approx(values, nan_ok=True)
        assert turned[name] == pytest.approx([1 - x for x in values], nan_ok=True)


# Communities


def test_the_ten_most_frequent_communities_ties_by_name():
    tags = {**{f"c{n:02}": 2 for n in range(9, -1, -1)}, "often": 3, "rare": 1, "Other": 9, "None": 9}
    examples = examples_of([("normal", name, 0.0) for name, n in tags.items() for _ in range(n)])
    assert frequent_communities(examples) == ("often", *(f"c{n:02}" for n in range(9)))


def test_the_eleventh_community_is_no_background():
    ten: list[Post] = [post for n in range(10) for post in [("normal", f"c{n}", 0.5)] * 2]
    toxic: list[Post] = [("offensive", "c0", 0.9), ("offensive", "rare", 0.1)]
    found = bias(ten + toxic)
    assert "rare" not in aucs(found)
    assert found.n_targeted == 21
    assert aucs(found)["c1"][1] == 1
    assert aucs(bias(ten + toxic, background="all"))["c1"][1] == 1 / 2


# Means and intervals


def test_the_generalised_mean_is_of_its_power():
    assert float(generalised_mean(np.array([0.5, 1.0]))) == pytest.approx((33 / 2) ** (-0.2), abs=1e-15)
    found = generalised_mean(np.array([[0.3, 0.3, 0.3], [nan, 0.7, nan], [0.0, 0.9, 1.0], [nan, nan, nan]]))
    assert found.tolist() == pytest.approx([0.3, 0.7, 0.0, nan], nan_ok=True)


@checked
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=12))
def test_the_generalised_mean_lies_between_the_least_and_the_harmonic_mean(values):
    found = float(generalised_mean(np.array(values)))
    harmonic = len(values) / sum(1 / x for x in values)
    assert min(values) - 1e-12 <= found <= harmonic + 1e-12
    assert found == pytest.approx(slow_mean(values))


def at_random(seed: int) -> list[Post]:
    random = np.random.default_rng(seed)
    labels = random.choice(["hatespeech", "offensive", "normal"], 24).tolist()
    names = random.choice(["a", "a b", "b", "c", ""], 24).tolist()
    return list(zip(labels, names, (random.integers(0, 9, 24) / 8).tolist(), strict=True))


@pytest.mark.parametrize(("background", "seed"), [("targeted", 0), ("all", 3)])
def test_intervals_are_those_of_the_slow_loop_over_resamples(background, seed):
    """Each resample is written out; a community that lacks a class there is left out of its mean."""
    drawn = at_random(seed)
    found = bias(drawn, background=background, seed=seed)
    pool = {"a", "b", "c"} if background == "targeted" else None
    assert set(aucs(found)) == {"a", "b", "c"}
    for number, auc in enumerate(AUCS):
        known = [c.name for c in found.communities if not isnan(getattr(c, auc))]
        means, shorter = [], 0
        for times in resamples(24, seed):
            again = [post for post, n in zip(drawn, times, strict=True) for _ in range(int(n))]
            values = [slow_auc(*slow_posts(again, name, auc, pool)) for name in known]
            shorter += any(map(isnan, values))
            means.append(slow_mean(values))
        assert shorter > 0
        low, high = np.quantile([m for m in means if not isnan(m)], [0.025, 0.975])
        assert (found.means[number].low, found.means[number].high) == pytest.approx((low, high), abs=1e-12)


def test_a_perfect_score_has_no_doubt_and_a_constant_one_is_chance():
    perfect = bias([(label, names, float(label != "normal")) for label, names, _ in POSTS])
    constant = bias([(label, names, 0.5) for label, names, _ in POSTS])
    assert [(m.value, m.low, m.high) for m in perfect.means] == [(1, 1, 1)] * 3
    assert [(m.value, m.low, m.high) for m in constant.means] == [(pytest.approx(0.5),) * 3] * 3


def test_intervals_follow_the_seed_and_values_do_not():
    one, again, other = (bias(at_random(0), seed=seed).means for seed in (1, 1, 2))
    assert one == again
    assert [m.value for m in one] == [m.value for m in other]
    assert [m.low for m in one] != [m.low for m in other]


def test_predictions_are_found_by_id():
    examples = examples_of(POSTS)
    predictions = [said(f"p{n}", score) for n, (_, _, score) in enumerate(POSTS)]
    assert score_bias(examples, [said("another", 0.1), *reversed(predictions)]) == bias(POSTS)


# What is refused


def refused(message: str, *arguments, **options) -> None:
    with pytest.raises(InputError, match=rf"^{re.escape(message)}\Z"):
        score_bias(*arguments, **options)


def test_examples_without_communities():
    bare: list[Post] = [("offensive", "", 0.5), ("normal", "Other", 0.1)]
    message = "no example names a target community (tags)"
    refused(message, examples_of(bare), [said("p0", 0.5), said("p1", 0.1)])


@pytest.mark.parametrize("label", ["normal", "offensive"])
def test_examples_of_one_class(label):
    message = f"expected examples labelled hatespeech or offensive beside others, got only labels ['{label}']"
    refused(message, examples_of([(label, "a", 0.5)]), [said("p0", 0.5)])


def test_every_example_without_both_probabilities_is_named():
    half = replace(said("p1", 0.5), probs={"normal": 0.5, "hatespeech": 0.5})
    what = "expected a prediction with probabilities of hatespeech and offensive, got "
    message = f"p0: {what}{{}}\np1: {what}{{'normal': 0.5, 'hatespeech': 0.5}}"
    refused(message, examples_of(POSTS[:3]), [half, said("p2", 0.5)])


def test_a_background_of_another_name():
    refused("expected background targeted or all, got 'most'", examples_of(POSTS), [], background="most")


# The real data

PUBLISHED = "African Islam Jewish Homosexual Women Refugee Arab Caucasian Asian Hispanic"


@pytest.fixture(scope="module")
def real() -> Dataset:
    return load("hatexplain", data("hatexplain"), ["test"])


def test_the_ten_of_the_test_split_are_those_of_the_notebook(real):
    assert set(frequent_communities(real.splits["test"])) == set(PUBLISHED.split())


def test_real_posts_are_compared_as_in_the_notebook(real):
    """Its own order of things: drop what is about none of the ten, split by label and community, sklearn."""
    examples = real.splits["test"]
    scores = dict(zip((e.id for e in examples), np.random.default_rng(0).random(1924), strict=True))
    found = score_bias(examples, [said(e.id, scores[e.id]) for e in examples])
    about = {e.id: e.tags & set(PUBLISHED.split()) for e in examples}
    toxic = {e.id: e.label != "normal" for e in examples}
    kept = [id for id, names in about.items() if names]
    assert (found.n, found.n_targeted) == (1924, len(kept))
    for community in found.communities:
        name = community.name
        inside = {id for id in kept if name in about[id]}
        sides = {
            "subgroup_auc": inside,
            "bpsn_auc": {id for id in kept if (id in inside) != toxic[id]},
            "bnsp_auc": {id for id in kept if (id in inside) == toxic[id]},
        }
        for auc, ids in sides.items():
            chosen = sorted(ids)
            expected = roc_auc_score([toxic[id] for id in chosen], [scores[id] for id in chosen])
            assert getattr(community, auc) == pytest.approx(expected, abs=1e-12), (name, auc)
