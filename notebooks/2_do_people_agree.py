# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do people agree?
#
# Methods against human rationales, as in AdapLeR's comparison (Modarressi et al. 2022): false-positive rate
# and mean average precision, layer by layer, each with a 95 % bootstrap interval over examples.
#
# Data: the bundled sample, whose spans its authors marked while writing: good for trying, too small and too
# clean to conclude anything about methods. With `RATIONALE_DATA` ERASER's film reviews take its place, and
# with `RATIONALE_MODELS` beside it HateXplain follows.

# %%
# %matplotlib inline
from dataclasses import replace

import numpy as np
import pandas as pd
from IPython.display import display
from subjects import hatexplain, movies, shown

from eraser import Prediction
from eraser.metrics.table import measure, score
from rationale.evaluation.plan import Evaluation
from rationale.report.figures import FIGURES
from rationale.report.plots import layer_curves, new_figure, shared_legend
from rationale.report.summary import tables_of

METHODS = ("survivors", "attention", "rollout", "gradient_x_input", "random")
subjects = [s for s in (movies(), hatexplain()) if s is not None]
evaluations = {s.title: s.evaluate(METHODS, budgets=("ratio",), fractions=(0.2,)) for s in subjects}
tables = {title: tables_of(evaluation) for title, evaluation in evaluations.items()}
print("; ".join(f"{title}: {len(e.items)} test examples" for title, e in evaluations.items()))

# %% [markdown]
# ## As many words as people mark
#
# Every method picks as large a share of the words as people marked on average in train (the budget
# `ratio`). Token F1 and the false-positive rate (unmarked words that were picked) look at the picked words,
# average precision at the whole ranking. Attention and gradient methods explain the same weights with
# nothing removed.

# %%
AGREEMENT = ("token_f1", "false_positive_rate", "average_precision")
pd.concat({t: shown(of.scores, AGREEMENT, evaluations[t].budgets[0]) for t, of in tables.items()})

# %%
for title, of in tables.items():
    figure = FIGURES["agreement"].make(of, evaluations[title].budgets[0])
    figure.suptitle(title)
    display(figure)

# %% [markdown]
# ## Layer by layer
#
# The words that reached each layer, against as many words of each other method in the same example. Lower
# is better on the left, higher on the right. The band is the survivors' 95 % interval.

# %%
for title, of in tables.items():
    figure = FIGURES["layers"].make(of, evaluations[title].budgets[0])
    figure.suptitle(title)
    display(figure)

# %% [markdown]
# Average precision by layer: the ranking as it stands after each layer, where words that are still there
# share the first place. Other methods have one ranking, drawn as a level line. (In the table above
# `survivors` also breaks its ties, by the model's own score.)


# %%
def precision_by_layer(evaluation: Evaluation) -> pd.DataFrame:
    """Return average precision of the ranking known after each layer, with intervals."""
    budget, rows = evaluation.budgets[0], []
    truths = [item.truth for item in evaluation.items]
    survivors = evaluation.predictions["survivors", budget]
    deepest = int(max(np.nanmax(p.scores) for p in survivors))
    for layer in range(1, deepest + 1):
        share = float(np.mean([np.mean(np.nan_to_num(p.scores) >= layer) for p in survivors]))
        for method in evaluation.settings.methods:
            known = evaluation.predictions[method, budget]
            if method == "survivors":
                known = [after(p, layer) for p in known]
            s = score("average_precision", measure("average_precision", truths, known))
            rows.append((layer, share, "average_precision", method, s.value, s.low, s.high, s.n))
    return pd.DataFrame(rows, columns=["layer", "words", "metric", "method", "value", "low", "high", "n"])


def after(prediction: Prediction, layer: int) -> Prediction:
    """Return a prediction with its scores as they stand after a layer."""
    return replace(prediction, scores=np.minimum(prediction.scores, layer))


for title, evaluation in evaluations.items():
    figure, (axes,) = new_figure(1, width=6.4)
    layer_curves(axes, precision_by_layer(evaluation), "average_precision")
    axes.set_title(f"{title}, {axes.get_title()}", fontsize=9)
    shared_legend(figure)
    display(figure)

# %% [markdown]
# ## What is surely different, what may be chance
#
# Paired differences to `random` on the same examples; a tie is a difference whose interval holds 0.


# %%
def against_random(paired: pd.DataFrame) -> pd.DataFrame:
    """Return average precision's differences to random."""
    rows = paired[(paired.metric == "average_precision") & (paired.other == "random")]
    texts = [f"{r.difference:+.3f} [{r.low:+.3f}, {r.high:+.3f}]" for r in rows.itertuples()]
    verdicts = ["tie" if r.tie else "better" if r.difference > 0 else "worse" for r in rows.itertuples()]
    return pd.DataFrame(
        {"method": rows.method, "average precision − random": texts, "n": rows.n, "": verdicts}
    )


pd.concat({title: against_random(of.paired) for title, of in tables.items()}).droplevel(1)
