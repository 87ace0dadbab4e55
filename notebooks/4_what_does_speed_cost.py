# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does speed cost?
#
# The shipped model drops tokens on its way; a dial says how many. Operations are counted from what each
# layer worked on, time is measured, both beside the same weights with nothing removed. With
# `RATIONALE_MODELS` (a folder of trained models) models that stop early, sample tokens, are cut, or stack
# these, follow.

# %%
# %matplotlib inline
import numpy as np
import pandas as pd
from subjects import movies, trained

from rationale.bench.dial import dial_table
from rationale.bench.removal import bench, table
from rationale.bench.speeds import SpeedSettings, area, speed_table
from rationale.hf.classifier import load_classifier, without_removal
from rationale.inference.savings import run_windows
from rationale.models.flops import costs
from rationale.report.plots import dial_figure, layer_parts, new_figure, shared_legend, speed_figure

subject = movies()
classifier, dataset = subject.classifier, subject.dataset
labels = [e.label for e in dataset.splits["test"]]
print(f"{subject.title}: {len(labels)} test examples")

# %% [markdown]
# ## The dial: accuracy and agreement with people against operations
#
# At dial 0 nothing is dropped, 1 is as trained. Bars are 95 % intervals.

# %%
dials = dial_table(classifier, dataset, "test", (0.0, 0.5, 1.0, 1.5, 2.0))
dial_figure(dials)


# %%
def interval(rows: pd.DataFrame, metric: str) -> list[str]:
    """Return a metric's values as texts with their intervals."""
    ends = zip(rows[metric], rows[f"{metric}_low"], rows[f"{metric}_high"], strict=True)
    return [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in ends]


METRICS = ("accuracy", "token_f1", "false_positive_rate")
pd.DataFrame(
    {"dial": dials.dial, "times fewer operations": dials.speedup.round(2)}
    | {metric: interval(dials, metric) for metric in METRICS}
    | {"n": dials.accuracy_n}
).style.hide(axis="index").format(precision=2)

# %% [markdown]
# ## Operations counted, time measured
#
# `dense` is Hugging Face's own forward pass on padded batches; `packed` ours with nothing removed;
# `removal` drops tokens. Rounds alternate between the ways; brackets are the least and the most of them. A
# busy machine widens them.

# %%
windows = [
    w for text in classifier.encoder.encode([dataset.text(e) for e in dataset.splits["test"]]) for w in text
]
print(table(bench(classifier, windows[::4], batch_size=8, rounds=3)))

# %% [markdown]
# ## Where the operations go


# %%
def parts_by_layer() -> pd.DataFrame:
    """Return each layer's GFLOPs a window: dense, and this model's by what they are for."""
    _, kept = run_windows(classifier, windows)
    cost, n = costs(classifier.model), np.array([len(w) for w in windows])
    before = np.concatenate([n[None], kept[:-1]])
    rows = []
    for i, after in enumerate(kept):
        deciding = np.where(after > 0, cost.remover[i] * before[i] + cost.exit[i], 0)
        parts = (cost.layer(i, n), cost.token[i] * after, cost.pair[i] * after**2, deciding)
        rows.append((i + 1, *(float(p.mean()) / 1e9 for p in parts)))
    return pd.DataFrame(rows, columns=["layer", "dense", "matrices", "attention", "deciding"])


parts = parts_by_layer()
figure, (axes,) = new_figure(1, width=5.4)
layer_parts(axes, parts)
axes.set_title(f"n = {len(windows)} windows", fontsize=9)
shared_legend(figure)
figure

# %% [markdown]
# ## Frontier: accuracy against operations, and against time
#
# Each model is a line of points. The area under accuracy over the share of the dense model's operations is
# what a line is worth; below its cheapest point nothing is known but the commonest label.

# %%
models = {"shipped": classifier}
dense = without_removal(classifier)
if "movies-dense" in (found := trained("movies-")):
    dense = load_classifier(found.pop("movies-dense"))
    models |= {name: load_classifier(path) for name, path in found.items()}
speeds = speed_table(
    dense, models, dataset, SpeedSettings(dials=(0.5, 1.0, 2.0), windows=8, batch_size=4, rounds=2)
)
speed_figure(speeds)

# %%
commonest = max(map(labels.count, set(labels))) / len(labels)
area(speeds, commonest).rename("area").to_frame().round(3)
