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
# Which words decided, which of them reach the model's last layer, and do annotators agree? The model is the
# one that comes with the package: AdapLeR, an encoder that drops tokens layer by layer, trained on film
# reviews.

# %%
# %matplotlib inline
import pandas as pd

import rationale

model = rationale.load()  # or any folder or hub id of a classifier, a pipeline, a function of texts

# %% [markdown]
# ## Which words decided?

# %%
REVIEW = (
    "The first hour is slow and I nearly left. Then the two sisters meet at the station, "
    "and the film turns into a warm, wonderfully acted story that I would gladly watch again."
)
why = rationale.explain(model, REVIEW, ["survivors", "integrated_gradients"])
why

# %% [markdown]
# Words are coloured by score, the strongest full; resting the pointer on a word shows its score.

# %%
why.plot().figure

# %% [markdown]
# `survivors` scores a word by the number of layers it reaches, integrated gradients by how much it adds to
# the class's score: the scales differ, the order of the words is what to compare.

# %% [markdown]
# ## Which words reach the last layer?

# %%
words = why.to_frame().query("method == 'survivors'")
left = {layer: words.word[words.score >= layer] for layer in range(1, int(words.score.max()) + 1)}
table = pd.DataFrame({"words left": {layer: len(of_layer) for layer, of_layer in left.items()}})
axes = table.plot(marker="o", xlabel="layer", ylabel="words left", ylim=(0, None), legend=False)
print(" ".join(left[max(left)]))

# %% [markdown]
# The curve shows how many words still have a token after each layer; the words printed above it are those
# that reach the last one.

# %% [markdown]
# ## Do annotators agree?

# %%
run = rationale.evaluate(model, "sample", ["survivors", "random"], budget="ratio")
run.examples("first")

# %% [markdown]
# Each method picks the same share of words as the annotators do on average; the colours show where the two
# agree in one review of the bundled sample.

# %%
run.plot("agreement")

# %%
run.verdict()

# %% [markdown]
# One review says little: the figure and the sentences are about the whole test split, with 95 % intervals.
# A method is worth something where it is clearly better than `random`.
