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
# From a CSV to a report: rows of a text, a label, and the marked words; a classifier trained on them;
# methods scored against the marks. The CSV is written here: messages to a help desk, `urgent` or `can
# wait`, made from phrases, the deciding one in double brackets. It is a toy on which a tiny model, trained
# in seconds, does well; put your own file and your own checkpoint in its place.

# %%
# %matplotlib inline
import csv
import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from IPython.display import Image, Markdown
from subjects import SEED
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import WordPiece
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from eraser.load import load
from rationale.cli import app
from rationale.evaluation.plan import evaluate
from rationale.explanation import explain
from rationale.hf.classifier import load_classifier
from rationale.report.compare import compared
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings
from rationale.training.dense import train_dense
from rationale.training.settings import TrainSettings

os.chdir(tempfile.mkdtemp())  # all that is written here

# %% [markdown]
# ## A CSV

# %%
OPENINGS = (
    "hello ,",
    "good morning ,",
    "dear colleagues ,",
    "hi , it is me again :",
    "a note from the third floor :",
)
REASONS = {
    "urgent": (
        "the server is down", "nobody can log in", "smoke comes out of the printer",
        "customers are waiting", "we lose orders every minute", "the alarm will not stop",
    ),
    "can wait": (
        "whenever you have time", "there is no hurry", "next month is fine",
        "it is only a small wish", "just for your information", "perhaps after the holidays",
    ),
}  # fmt: skip
FILLERS = (
    "the office has moved", "my desk is by the window", "we spoke about this last week",
    "the new chairs are here", "please look at the screen", "the key is at the front desk",
)  # fmt: skip


def message(label: str, draw: random.Random) -> str:
    """Return a message in which the phrase that decides is in double brackets."""
    parts = [*draw.sample(FILLERS, 2), f"[[{draw.choice(REASONS[label])}]]"]
    draw.shuffle(parts)
    return f"{draw.choice(OPENINGS)} {' . '.join(parts)} . thank you"


def write_csv(path: Path, rows: int) -> None:
    """Write a file with a header and as many messages of each label."""
    draw, seen = random.Random(SEED), set()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for i in range(rows):
            label = list(REASONS)[i % 2]
            text = message(label, draw)
            while text in seen:
                text = message(label, draw)
            seen.add(text)
            writer.writerow((text, label))


write_csv(Path("tickets.csv"), 400)
pd.read_csv("tickets.csv").head(4).style.hide(axis="index").set_properties(**{"text-align": "left"})

# %% [markdown]
# ## `rationale data import`
#
# In a shell: `rationale data import --file tickets.csv --out tickets --rationale-form marks`.

# %%
COMMAND = "data import --file tickets.csv --out tickets --rationale-form marks"
app(COMMAND.split(" "), standalone_mode=False)

# %% [markdown]
# ## A classifier
#
# A BERT of two layers from nothing, with a vocabulary learned from the train split. In earnest, `rationale
# train dense` fine-tunes a pretrained one, or `load_classifier` takes the folder or hub id of yours.

# %%
tickets = load("tickets", "tickets")
SPECIALS = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def new_tokenizer() -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer of the train split's words."""
    inner = Tokenizer(WordPiece(unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=list(SPECIALS.values()), show_progress=False
    )
    inner.train_from_iterator((" ".join(tickets.text(e).words) for e in tickets.splits["train"]), trainer)
    ends = [(t, inner.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=64, **SPECIALS)


def new_model() -> tuple[BertForSequenceClassification, PreTrainedTokenizerFast]:
    """Return a small model that knows nothing yet."""
    tokenizer, names = new_tokenizer(), dict(enumerate(tickets.labels))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        id2label=names,
        label2id={name: i for i, name in names.items()},
    )
    return BertForSequenceClassification(config), tokenizer


settings = TrainSettings(epochs=6, lr=3e-3, batch_size=16, max_length=64, precision="float32", device="cpu")
record = train_dense(new_model, tickets, Path("model"), settings, "from nothing")
print(f"val accuracy {record['val_accuracy']:.3f}, n = {len(tickets.splits['val'])}")

# %%
classifier = load_classifier("model")
explain(classifier, "hello , the server is down . my desk is by the window . thank you", "leave_one_out")

# %% [markdown]
# ## A report
#
# In a shell: `rationale evaluate --dataset tickets --data tickets --model model --out run`. It writes
# `report.html` with figures and examples, tables as CSV, Markdown and LaTeX, and official prediction files.
# Below, its summary.

# %%
METHODS = ("attention", "gradient_x_input", "leave_one_out", "random")


def report(model: str, folder: str) -> None:
    """Evaluate a model and write everything a run has to show."""
    asked = EvaluateSettings("tickets", model, methods=METHODS, budgets=("ratio",), seed=SEED)
    write_run(evaluate(load_classifier(model), tickets, asked, Path(folder)), tickets, Path(folder))


report("model", "run")
Markdown(Path("run/summary.md").read_text(encoding="utf-8"))

# %%
Image("run/figures/agreement.png", width=900)

# %%
sorted(path.name for path in Path("run").iterdir())

# %% [markdown]
# ## Two runs side by side
#
# The same model trained with another seed: do the methods agree with people alike, or is the difference
# more than chance? In a shell, `rationale compare run other`.

# %%
train_dense(new_model, tickets, Path("model-1"), replace(settings, seed=SEED + 1), "from nothing")
report("model-1", "other")
compared([Path("run"), Path("other")], ("accuracy", "token_f1", "average_precision"))
