# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Five minutes
#
# Which words decided, which of them reach the model's last layer, and do people agree? The model is the one
# that comes with the package: AdapLeR, an encoder that drops tokens layer by layer, trained on film
# reviews. The review is one of the bundled sample's test split.

# %%
# %matplotlib inline
from dataclasses import replace

import numpy as np
import pandas as pd

from eraser import Prediction
from eraser.load import load
from eraser.metrics.table import measure, score
from rationale.explanation import explain
from rationale.hf.classifier import SHIPPED, load_classifier
from rationale.models.adaptive import plain
from rationale.report.plots import kept_tokens, new_figure

classifier = load_classifier(SHIPPED)  # or any folder or hub id of a sequence classifier
reviews = load("sample")

# %% [markdown]
# ## Predict and explain
#
# `survivors` scores a word by the layers it lives through (a fraction, the model's own score, breaks ties).
# The display colours words by score and says it when the pointer rests on one.

# %%
example = reviews.splits["test"][0]
words = reviews.text(example).words
found = explain(classifier, " ".join(words), "survivors")
found

# %%
pd.DataFrame(found.top(8), columns=["word", "layers survived"]).round(2)

# %% [markdown]
# ## Who survives, layer by layer


# %%
def reached(scores: np.ndarray, layer: int) -> np.ndarray:
    """Return which words are still there after a layer."""
    return np.nan_to_num(scores) >= layer


n_layers = plain(classifier.model).config.num_hidden_layers
layers = pd.DataFrame(
    {
        "layer": layer,
        "words left": int(reached(found.scores, layer).sum()),
        "the words": " ".join(np.array(words)[reached(found.scores, layer)]) if layer > 2 else "…",
    }
    for layer in range(1, n_layers + 1)
)
layers.style.hide(axis="index").set_properties(**{"text-align": "left"})

# %%
row = pd.DataFrame([{f"layer_{i}": n for i, n in enumerate([len(words), *layers["words left"]])}])
figure, (axes,) = new_figure(1)
kept_tokens(axes, row, ["this review"])
axes.set_ylabel("words left")
axes.set_xlabel("after layer")
figure

# %% [markdown]
# ## Do people agree?
#
# The review's author marked the words that speak for its label. Below: the author's marks, then the
# survivors of all layers, each as a 0 or 1 a word.

# %%
truth = reviews.truth(example)
by_author = replace(found, scores=truth.gold.astype(float), method="marked by the author")
by_author

# %%
survived = replace(
    found, scores=reached(found.scores, n_layers).astype(float), method="survivors of all layers"
)
survived

# %% [markdown]
# One review says little. Over the whole test split, average precision says how well the survivors' ranking
# puts the marked words first (1 is best); a ranking by chance is the yardstick.


# %%
def agreement(method: str) -> dict[str, object]:
    """Return a method's average precision against the authors' marks, with its 95 % interval."""
    columns = []
    for one in reviews.splits["test"]:
        said = explain(classifier, " ".join(reviews.text(one).words), method)
        answer = Prediction(one.id, said.label, said.probs, said.scores, said.scores > 0)
        columns += measure("average_precision", [reviews.truth(one)], [answer])
    s = score("average_precision", columns)
    return {"method": method, "average precision": f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]", "n": s.n}


pd.DataFrame(map(agreement, ("survivors", "random"))).style.hide(axis="index")
