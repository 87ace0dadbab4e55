# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do annotators agree?
#
# Methods against human rationales, as in AdapLeR's comparison (Modarressi et al. 2022): false-positive rate
# and mean average precision, layer by layer, each with a 95 % bootstrap interval over examples.
#
# Data: the bundled sample, whose spans its authors marked while writing: good for trying, too small and too
# clean to conclude anything about methods. With `RATIONALE_DATA` ERASER's film reviews take its place, and
# with `RATIONALE_MODELS` as well HateXplain follows.

# %%
# %matplotlib inline
from IPython.display import display
from subjects import hatexplain, movies

import rationale

METHODS = ["survivors", "attention", "rollout", "gradient_x_input", "random"]
given = [subject for subject in (movies(), hatexplain()) if subject is not None]
runs = [rationale.evaluate(**subject, methods=METHODS, budget="ratio", fractions=(0.2,)) for subject in given]
for run in runs:
    print(run.basis)

# %% [markdown]
# ## Do methods pick the words that annotators marked?

# %%
for run in runs:
    display(run.plot("agreement"))

# %%
for run in runs:
    display(run.table("token_f1", "false_positive_rate", "average_precision"))

# %% [markdown]
# Every method picks the same share of the words as annotators marked on average in train (the budget
# `ratio`). Token F1 and the false-positive rate (unmarked words that were picked) look at the picked words,
# average precision at the whole ranking.

# %% [markdown]
# ## Which differences are more than chance?

# %%
for run in runs:
    display(run.against("random", "token_f1", "average_precision"))

# %% [markdown]
# Differences are paired, on the same examples; one whose interval holds 0 is a tie. A method that ties with
# `random` has no signal.

# %%
for run in runs:
    print(run.verdict()[0])

# %% [markdown]
# ## Do the words that reach deeper layers agree better?

# %%
for run in runs:
    display(run.plot("layers"))

# %% [markdown]
# The words that reached each layer, against the same number of words of each other method in the same
# example. Lower is better on the left, higher on the right; the band is the survivors' 95 % interval.

# %% [markdown]
# ## When does the survivors' ranking become good?

# %%
for run in runs:
    display(run.plot("ranking_by_layer"))

# %% [markdown]
# The ranking as it stands after each layer, where words that are still there share the first place; the
# other methods have one ranking, drawn as a level line. (In the table above `survivors` also breaks its
# ties, by the model's own score.)
