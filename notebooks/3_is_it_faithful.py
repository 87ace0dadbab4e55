# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is it faithful?
#
# Agreement with people says nothing about whether the model used the words. Take them out and see
# (*comprehensiveness*, should be large), or leave only them (*sufficiency*, should be small). Both are
# drops of the predicted class's probability. AOPC is their mean over several shares of the words; the
# normalised one is a share of the range that orderings of the same text can reach (Edin et al. 2024), so
# that texts and models compare.
#
# Few test examples are used, at equal steps of the split, so that this runs in a minute: read the
# intervals.

# %%
# %matplotlib inline
import pandas as pd
from subjects import movies, shown

from rationale.report.figures import FIGURES
from rationale.report.summary import tables_of

FEW = 8
METHODS = ("survivors", "attention", "integrated_gradients", "leave_one_out", "random")
subject = movies().first(FEW)
evaluation = subject.evaluate(METHODS, budgets=("ratio",), ig_steps=10)
budget, tables = evaluation.budgets[0], tables_of(evaluation)
print(f"{subject.title}: {len(evaluation.items)} test examples, budget {budget}")

# %% [markdown]
# ## Without, and with only, the best words

# %%
shown(tables.scores, ("comprehensiveness", "sufficiency"), budget)

# %%
FIGURES["faithfulness"].make(tables, budget)

# %% [markdown]
# ## Over several shares of the words

# %%
shown(tables.scores, ("aopc_comprehensiveness", "aopc_sufficiency"), budget)

# %% [markdown]
# Normalised: 0 and 1 are the lowest and the highest AOPC of the orderings tried for a text, the methods'
# and leave-one-out's turned round; comprehensiveness should be high, sufficiency low.

# %%
shown(tables.scores, ("normalised_aopc_comprehensiveness", "normalised_aopc_sufficiency"), budget)

# %% [markdown]
# Kendall's τ-b with leave-one-out: does a method rank words as the model's answer falls without each alone?

# %%
shown(tables.scores, ("tau_leave_one_out",), budget)

# %% [markdown]
# ## Surely better than chance?


# %%
def verdict(row: pd.Series) -> str:
    """Return in a word what a paired difference to random says."""
    if row.tie:
        return "tie"
    return "better" if (row.difference > 0) == ("comprehensiveness" in row.metric) else "worse"


pairs = tables.paired[(tables.paired.other == "random") & tables.paired.metric.str.startswith("aopc")]
pairs.assign(verdict=pairs.apply(verdict, axis=1))[
    ["metric", "method", "difference", "low", "high", "n", "verdict"]
].round(3).style.hide(axis="index").format(precision=3)

# %% [markdown]
# ## Do methods agree with each other?
#
# Mean Kendall's τ-b between the word rankings of every two methods. Methods that disagree cannot all be
# right.

# %%
FIGURES["methods"].make(tables, budget)

# %%
tables.agreement.round(3).style.hide(axis="index").format(precision=3)

# %% [markdown]
# ## Do people agree with what is faithful?
#
# Agreement with people against faithfulness: the two need not go together.

# %%
FIGURES["tradeoff"].make(tables, budget)
