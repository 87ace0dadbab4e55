# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
# %% [markdown]
# # Fairness and disagreement
#
# Written for HateXplain: posts with the communities they are about and the marks of several annotators. It
# is used when `RATIONALE_DATA` has it and `RATIONALE_MODELS` a model trained on it. **Otherwise the bundled
# film reviews stand in. They have no communities and one annotator each, so that fairness between
# communities and agreement between people cannot be computed**; what is left is whether the labels are
# served alike, and where methods and people disagree.

# %%
# %matplotlib inline
import numpy as np
import pandas as pd
from IPython.display import display
from subjects import hatexplain, movies

from eraser.metrics.table import score
from rationale.evaluation.disagreement import furthest_apart, furthest_from_people
from rationale.evaluation.per_example import NO_BUDGET, TAU, per_example_metrics
from rationale.explanation import Explanation
from rationale.report.annotators import PEOPLE_TABLES, people_tables
from rationale.report.plots import groups, heat_map, new_figure
from rationale.report.summary import agreement_table

METHODS = ("survivors", "attention", "gradient_x_input")
subject = hatexplain() or movies()
evaluation = subject.evaluate(METHODS, budgets=("ratio",), fractions=(0.2,))
budget, columns = evaluation.budgets[0], per_example_metrics(evaluation)
print(f"{subject.title}: {len(evaluation.items)} test examples, labels {', '.join(subject.dataset.labels)}")

# %% [markdown]
# ## Communities and annotators

# %%
people = people_tables(evaluation, subject.dataset)
for name, (_, says) in PEOPLE_TABLES.items():
    print(f"{name}: {says if name in people else 'not in these data'}")
    if name in people:
        display(people[name].round(3))

# %% [markdown]
# ## Are the labels served alike?
#
# Accuracy, and agreement with people, of the examples of each label alone, with 95 % intervals.


# %%
def by_label() -> pd.DataFrame:
    """Return metrics of the examples of each label."""
    wanted = {"accuracy": ("accuracy", NO_BUDGET, "model")}
    wanted |= {f"average_precision of {m}": ("average_precision", NO_BUDGET, m) for m in METHODS}
    rows = []
    for label in subject.dataset.labels:
        at = [i for i, item in enumerate(evaluation.items) if item.example.label == label]
        for name, key in wanted.items():
            s = score(key[0], [columns[key][i] for i in at])
            rows.append((label, name, s.value, s.low, s.high, s.n))
    return pd.DataFrame(rows, columns=["group", "metric", "value", "low", "high", "n"])


labels = by_label()
figure, (axes,) = new_figure(1, width=6.4)
groups(axes, labels)
figure

# %%
labels.rename(columns={"group": "label"}).style.hide(axis="index").format(precision=3)

# %% [markdown]
# ## Where methods disagree with people
#
# The examples whose marked words the methods rank lowest (average precision, mean over methods). First the
# people's marks, then each method's scores.


# %%
def explanation(index: int, method: str) -> Explanation:
    """Return what a method said of an example; of `people`, what they marked."""
    item, first = evaluation.items[index], evaluation.predictions[METHODS[0], budget][index]
    if method == "people":
        said = item.truth.gold.astype(float)
    else:
        said = evaluation.predictions[method, budget][index].scores
    return Explanation(item.text.words, said, first.label, first.probs, first.label, method)


precision = [columns["average_precision", NO_BUDGET, m] for m in METHODS]
for index, value in furthest_from_people(precision, 1):
    label = evaluation.items[index].example.label
    print(f"example {index}, labelled {label}: mean average precision {value:.3f}")
    for method in ("people", *METHODS):
        display(explanation(index, method))

# %% [markdown]
# ## Where methods disagree with each other
#
# Mean Kendall's τ-b between the methods' word rankings, and the example where it is lowest.

# %%
agreement = agreement_table(METHODS, columns, evaluation.settings.seed)
figure, (axes,) = new_figure(1, width=3.6, height=3.4)
heat_map(axes, agreement)
figure

# %%
agreement.style.hide(axis="index").format(precision=3)

# %%
taus = [of_pair for (metric, _, _), of_pair in columns.items() if metric == TAU]
n_words = [item.truth.n_words for item in evaluation.items]
for index, value in furthest_apart(taus, n_words, 1):
    print(f"example {index}: mean τ-b {value:.3f}")
    for method in METHODS:
        display(explanation(index, method))

# %% [markdown]
# How agreement between methods goes with agreement with people, over examples: does a text that methods
# dispute also set them apart from people? Spearman's rank correlation, with a 95 % bootstrap interval.


# %%
def correlation(seed: int = 0, count: int = 1000) -> str:
    """Return the rank correlation of mean τ-b with mean average precision over examples."""
    apart = dict(furthest_apart(taus, n_words, len(n_words)))
    far = dict(furthest_from_people(precision, len(n_words)))
    both = np.array([(apart[i], far[i]) for i in apart if i in far])
    draw = np.random.default_rng(seed).integers(0, len(both), (count, len(both)))
    rho = [pd.DataFrame(both[rows]).corr("spearman").iloc[0, 1] for rows in (np.arange(len(both)), *draw)]
    low, high = np.nanquantile(rho[1:], [0.025, 0.975])
    return f"ρ = {rho[0]:.2f} [{low:.2f}, {high:.2f}], n = {len(both)}"


print(correlation())
