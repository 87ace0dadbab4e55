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
# communities and agreement between annotators cannot be computed**; what is left is whether the labels are
# served alike, and where methods and annotators disagree.

# %%
# %matplotlib inline
from IPython.display import display
from subjects import hatexplain, movies

import rationale

METHODS = ["survivors", "attention", "gradient_x_input"]
given = hatexplain() or movies()
run = rationale.evaluate(**given, methods=METHODS, budget="ratio", fractions=(0.2,))
print(run.basis)

# %% [markdown]
# ## Is the model fair to communities, and do annotators agree?

# %%
for name, table in run.annotators.items():
    print(name)
    display(table.round(3))
if not run.annotators:
    print("These data have neither communities nor several annotators.")

# %% [markdown]
# Fairness is an AUC for each community: how well toxic posts are told from others. Annotators against each
# other are the yardstick for a method against each of them.

# %% [markdown]
# ## Are the labels served alike?

# %%
run.plot("labels")

# %%
run.by_label().round(3)

# %% [markdown]
# Accuracy and agreement of the examples of each label alone: where two intervals lie apart, one label is
# served worse.

# %% [markdown]
# ## Where do methods disagree with annotators?

# %%
run.examples("annotators")

# %% [markdown]
# The example whose marked words the methods rank lowest (average precision, mean over methods): either the
# methods miss what the model used, or the model did not use what annotators marked.

# %% [markdown]
# ## Where do methods disagree with each other?

# %%
run.plot("methods")

# %%
run.examples("methods")

# %% [markdown]
# Mean Kendall's τ-b between the methods' word rankings, and the example where it is lowest.

# %% [markdown]
# ## Do disputed texts set methods apart from annotators too?

# %%
apart = run.by_example("tau").groupby("example").value.mean()
far = run.by_example("average_precision").groupby("example").value.mean()
both = apart.to_frame("agreement of methods").join(far.rename("agreement with annotators")).dropna()
both.plot.scatter(
    *both.columns, title=f"Spearman's ρ = {both.corr('spearman').iloc[0, 1]:.2f}, n = {len(both)}"
)

# %% [markdown]
# Each point is an example. A ρ near 0 means that how much methods agree does not tell how well they agree
# with annotators.
