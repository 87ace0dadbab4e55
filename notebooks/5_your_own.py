# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own model and data
#
# From a CSV to a report: rows of a text, a label, and the words that decide it in double brackets; a
# classifier of your own; methods scored against the marks. The CSV is written here: messages to a help
# desk, `urgent` or `can wait`, made from phrases. It is a toy on which a tiny model does well; put your own
# file and your own model in its place.

# %%
# %matplotlib inline
import os
import random
import tempfile

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

import rationale

os.chdir(tempfile.mkdtemp())  # everything that is written goes here

# %% [markdown]
# ## What does the file look like?

# %%
REASONS = {
    "urgent": ("the server is down", "nobody can log in", "smoke comes out of the printer"),
    "can wait": ("whenever you have time", "there is no hurry", "next month is fine"),
}
FILLERS = (
    "the office has moved", "my desk is by the window", "we spoke about this last week",
    "the new chairs are here", "please look at the screen", "the key is at the front desk",
)  # fmt: skip

draw = random.Random(0)
messages = {}  # by text, so that none comes twice
while len(messages) < 240:
    label = draw.choice(list(REASONS))
    parts = [*draw.sample(FILLERS, 3), f"[[{draw.choice(REASONS[label])}]]"]
    messages[" . ".join(draw.sample(parts, len(parts)))] = label
pd.DataFrame(messages.items(), columns=["text", "label"]).to_csv("tickets.csv", index=False)
pd.read_csv("tickets.csv").head(4).style.hide(axis="index").set_properties(**{"text-align": "left"})

# %% [markdown]
# A column of character or word offsets in place of the brackets works too.

# %% [markdown]
# ## How is a model of my own explained?

# %%
data = rationale.load_data("tickets.csv", rationale_form="marks")
texts = [" ".join(data.text(example).words) for example in data.splits["train"]]
labels = [example.label for example in data.splits["train"]]
mine = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
rationale.explain(mine, "the new chairs are here . the server is down", ["leave_one_out", "kernel_shap"])

# %% [markdown]
# Any object with `predict_proba`, or any function of texts, is explained from its answers alone. A folder
# or hub id of a Hugging Face model goes the same way, `rationale.load("folder")`, and opens attention and
# gradients.

# %% [markdown]
# ## Do the methods find the words that I marked?

# %%
METHODS = ["leave_one_out", "lime", "random"]
run = rationale.evaluate(mine, data, METHODS, budget="ratio")
run.plot("agreement")

# %%
run.verdict()

# %% [markdown]
# A method that ties with `random` finds nothing of what was marked. Whether the model is right often enough
# for its reasons to matter is the first sentence of `run.details()`.

# %% [markdown]
# ## Where is the report?

# %%
page = run.report("run")
print(page, sorted(path.name for path in page.parent.iterdir()))

# %% [markdown]
# `report.html` has figures, rankings and examples; the tables are there as CSV, Markdown and LaTeX, and the
# predictions as official files. In a shell, `rationale data import --file tickets.csv --out tickets
# --rationale-form marks` and `rationale evaluate --dataset tickets --model …` do the same.

# %% [markdown]
# ## Is another model explained better?

# %%
other = make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(texts, labels)
found = rationale.compare(run, rationale.evaluate(other, data, METHODS, budget="ratio"))
found.summary()

# %%
found.to_frame().query("metric == 'average_precision'").round(3)

# %% [markdown]
# Both are compared on the same examples; a difference whose interval holds 0 is a tie, and says that these
# data cannot tell the two apart.
