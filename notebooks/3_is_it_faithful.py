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
# Agreement with annotators says nothing about whether the model used the words. Remove them and see
# (*comprehensiveness*, should be large), or keep only them (*sufficiency*, should be small): both are drops
# of the predicted class's probability. Only 8 test examples are used, because leave-one-out runs the model
# once for each word: read the intervals.

# %%
# %matplotlib inline
from subjects import movies

import rationale

METHODS = ["survivors", "attention", "integrated_gradients", "leave_one_out", "random"]
run = rationale.evaluate(**movies() | {"sample": 8}, methods=METHODS, budget="ratio", ig_steps=10)
print(run.basis)

# %% [markdown]
# ## What happens without the best words, and with only them?

# %%
run.plot("faithfulness")

# %%
run.table("comprehensiveness", "sufficiency")

# %% [markdown]
# On the left a faithful method's curve rises fast, on the right it falls fast. The table reads both at one
# share of the words, the annotators' own.

# %% [markdown]
# ## And over all shares of the words?

# %%
run.table("aopc_comprehensiveness", "aopc_sufficiency")

# %%
run.table("normalised_aopc_comprehensiveness", "normalised_aopc_sufficiency", "tau_leave_one_out")

# %% [markdown]
# AOPC is the mean over several shares. Normalised (Edin et al. 2024), 0 and 1 are the lowest and highest
# AOPC of the orderings tried for a text, so that texts and models compare. τ says whether a method ranks
# words as the model's answer falls without each of them alone.

# %% [markdown]
# ## Which methods are clearly better than chance?

# %%
run.against("random", "aopc_comprehensiveness", "aopc_sufficiency")

# %%
run.verdict()

# %% [markdown]
# Differences are paired on the same examples; a tie has an interval that holds 0. A method whose
# differences to `random` are ties has shown no faithfulness on these examples.

# %% [markdown]
# ## Do methods agree with each other?

# %%
run.plot("methods")

# %%
run.method_agreement.round(3)

# %% [markdown]
# Mean Kendall's τ-b between the word rankings of every two methods: 1 is the same order, 0 none. Methods
# that disagree cannot all be right.

# %% [markdown]
# ## Does agreement with annotators go with faithfulness?

# %%
run.plot("tradeoff")

# %% [markdown]
# Best is at the top right. A method far right and low pleases annotators more than it tells of the model.
