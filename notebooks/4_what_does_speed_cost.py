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
# The shipped model drops tokens as it reads; a dial sets how many. FLOPs are counted from the tokens that
# each layer worked on, time is measured, both against the same weights with nothing removed. With
# `RATIONALE_MODELS` (a folder of trained models) models that stop early, sample tokens, or are cut follow.

# %%
# %matplotlib inline
from subjects import movies, trained

import rationale

speeds = rationale.speeds(**movies(), **trained(), windows=8, batch_size=4, rounds=3)

# %% [markdown]
# ## What do accuracy and agreement lose as the dial turns?

# %%
speeds.plot("dial")

# %%
speeds.dial[["dial", "speedup", "accuracy", "token_f1", "false_positive_rate", "accuracy_n"]].round(3)

# %% [markdown]
# At dial 0 nothing is dropped, 1 is as trained. Bars are 95 % intervals: a loss smaller than the bars may
# be chance.

# %% [markdown]
# ## Do fewer FLOPs make it faster?

# %%
speeds.timed.round(2)

# %% [markdown]
# `dense` is Hugging Face's own forward pass on padded batches, `packed` this suite's with nothing removed,
# `removal` drops tokens. `low` and `high` are the least and the most of the rounds; a busy machine widens
# them.

# %% [markdown]
# ## Where do the FLOPs go?

# %%
speeds.plot("layers")

# %% [markdown]
# Grey is what the dense model's layer takes. The gap beside it grows with the tokens dropped before;
# deciding which tokens stay is part of the cost.

# %% [markdown]
# ## Which model is worth it?

# %%
speeds.plot("frontier")

# %%
speeds.areas.round(3)

# %% [markdown]
# Each model is a line of points, one for each dial: up and to the right is better. The area under accuracy
# over the share of the dense model's FLOPs puts a line into one number; below its cheapest point it counts
# only the accuracy of always answering the commonest label.
