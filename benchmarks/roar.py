"""Does masking words without training again rank methods as training again does? Recursive ROAR, small.

`python -m benchmarks.roar`: on two data sets whose labels follow a known rule, a small model trained as
`train dense --faithful` is asked about texts without the words that a method ranks highest; and, for each
method, models are trained again on texts without them (Hooker et al. 2019, arXiv 1806.10758; recursively:
Madsen et al. 2022, arXiv 2110.08412). Printed: for each method by how much its accuracy lies below that of
random words, over all steps, both ways; and Spearman's correlation of the two orders of methods.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import spearmanr
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from eraser import Text
from eraser.types import Floats, Mask
from rationale.attribution import AttributionInput, attribute
from rationale.budgets import top_words
from rationale.hf.classifier import Classifier
from rationale.inference.ablate import Erasure, ablate
from rationale.text.encode import Encoder
from rationale.text.windows import Window
from rationale.training.faithful import half_erased
from rationale.training.loop import TrainingWindow

METHODS = (
    "leave_one_out",
    "integrated_gradients",
    "gradient_x_input",
    "saliency",
    "attention",
    "position",
    "random",
)
WEIGHTS = {"superb": 4.0, "warm": 2.0, "fine": 1.0, "awful": -4.0, "dull": -2.0, "thin": -1.0}
NEUTRAL = ("film", "plot", "cast", "song", "scene", "light", "sound", "story", "joke", "end", "room", "sea")
LABELS, N_WORDS, N_TEXTS, STEP, STEPS = ("NEG", "POS"), 12, 300, 1, 3
TRAINING_STEPS, BATCH, RATE = 200, 32, 3e-3
Rule = Callable[[list[str]], float]  # words of a text → above 0 for POS


def of_words(words: list[str]) -> float:
    """Return the sum of the words' weights."""
    return sum(WEIGHTS.get(word, 0.0) for word in words)


def majority(words: list[str]) -> float:
    """Return by how many words of praise outnumber those of blame."""
    return sum(np.sign(WEIGHTS.get(word, 0.0)) for word in words)


SETS: dict[str, Rule] = {"sum of words": of_words, "majority of words": majority}


@dataclass(frozen=True)
class Texts:
    """Texts as windows, which of their words are masked [N,W], and their labels [N]."""

    windows: tuple[tuple[Window, ...], ...]
    masked: Mask
    labels: tuple[int, ...]

    def now(self, encoder: Encoder) -> list[tuple[Window, ...]]:
        """Return the windows with the masked words masked."""
        pairs = zip(self.windows, self.masked, strict=True)
        return [encoder.remove(w, mask, "mask") for w, mask in pairs]


def encoder_of() -> Encoder:
    """Return an encoder of the words that there are."""
    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = {w: i for i, w in enumerate((*specials, *WEIGHTS, *NEUTRAL))}
    inner = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, words[name]) for name in ("[CLS]", "[SEP]")]
    inner.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = dict(
        zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), specials, strict=True)
    )
    return Encoder(PreTrainedTokenizerFast(tokenizer_object=inner, **names), 32)


def drawn(rule: Rule, encoder: Encoder, n: int, seed: int) -> Texts:
    """Return texts of a rule: eight neutral words and four with weights; none that is a tie."""
    rng, texts, labels = np.random.default_rng(seed), [], []
    while len(texts) < n:
        words = [str(w) for w in rng.choice(NEUTRAL, N_WORDS)]
        for place in rng.choice(np.arange(1, N_WORDS), 4, replace=False):
            words[place] = str(rng.choice(list(WEIGHTS)))
        if value := rule(words):
            texts.append(Text.of(str(len(texts)), " ".join(words), "whitespace"))
            labels.append(int(value > 0))
    return Texts(tuple(encoder.encode(texts)), np.zeros((n, N_WORDS), dtype=bool), tuple(labels))


def learned(texts: Texts, encoder: Encoder, faithful: bool, seed: int) -> Classifier:
    """Return a small model trained on texts as they are masked now; `faithful`: and on erased ones."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(encoder.tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=32, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, id2label=dict(enumerate(LABELS)),
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1, s / 30) * (1 - s / TRAINING_STEPS)
    )
    rows = [TrainingWindow(w[0], label) for w, label in zip(texts.now(encoder), texts.labels, strict=True)]
    rng = np.random.default_rng(seed)
    for _ in range(TRAINING_STEPS):
        some = [rows[i] for i in rng.integers(len(rows), size=BATCH)]
        some = half_erased(some, encoder, "mask", rng) if faithful else some
        batch = encoder.collate([row.window for row in some])
        labels = torch.tensor([row.label for row in some])
        loss = model(input_ids=batch.ids, attention_mask=batch.real.long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval().requires_grad_(False)
    return Classifier(model, encoder, LABELS, torch.device("cpu"))


def accuracy(classifier: Classifier, texts: Texts) -> float:
    """Return the share of texts, as they are masked now, of which the model says the label."""
    erasures = [Erasure(w, mask) for w, mask in zip(texts.windows, texts.masked, strict=True)]
    return float((ablate(classifier, erasures, "mask").argmax(1) == np.array(texts.labels)).mean())


def more_masked(classifier: Classifier, method: str, texts: Texts) -> Texts:
    """Return texts with the next words masked that a method ranks highest for the class predicted now."""
    now = texts.now(classifier.encoder)
    erasures = [Erasure(w, np.zeros(N_WORDS, dtype=bool)) for w in now]
    targets = ablate(classifier, erasures).argmax(1)
    cases = [
        AttributionInput(w, N_WORDS, int(t), seed=i)
        for i, (w, t) in enumerate(zip(now, targets, strict=True))
    ]
    found = attribute(classifier, method, cases)
    picked = [
        top_words(np.where(masked, -np.inf, a.scores), STEP)
        for masked, a in zip(texts.masked, found, strict=True)
    ]
    return replace(texts, masked=texts.masked | np.array(picked))


def without_training(classifier: Classifier, method: str, test: Texts) -> list[float]:
    """Return the accuracy after each step of masking, of one model."""
    found = []
    for _ in range(STEPS):
        test = more_masked(classifier, method, test)
        found.append(accuracy(classifier, test))
    return found


def with_training(first: Classifier, method: str, train: Texts, test: Texts, seed: int) -> list[float]:
    """Return the accuracy after each step of masking, each of a model trained on texts masked so far."""
    found, classifier = [], first
    for _ in range(STEPS):
        train, test = (more_masked(classifier, method, texts) for texts in (train, test))
        classifier = learned(train, first.encoder, False, seed)
        found.append(accuracy(classifier, test))
    return found


def compared(rule: Rule, methods: Sequence[str], seed: int) -> tuple[float, dict[str, tuple[float, float]]]:
    """Return Spearman's correlation of both orders, and each method's two gaps below random words."""
    encoder = encoder_of()
    train, test = (drawn(rule, encoder, n, seed + i) for i, n in ((1, N_TEXTS), (2, N_TEXTS // 2)))
    faithful, plain = (learned(train, encoder, how, seed) for how in (True, False))
    print(
        f"accuracy: {accuracy(plain, test):.3f}, trained on erased texts {accuracy(faithful, test):.3f}",
        flush=True,
    )
    curves: dict[str, tuple[Floats, Floats]] = {}
    for method in methods:
        one = without_training(faithful, method, test)
        other = with_training(plain, method, train, test, seed)
        curves[method] = np.array(one), np.array(other)
    random = curves["random"]
    gaps = {
        m: (float((random[0] - c[0]).mean()), float((random[1] - c[1]).mean())) for m, c in curves.items()
    }
    asked = [gap for method, gap in gaps.items() if method != "random"]  # whose gap is 0 both ways
    return float(spearmanr(*zip(*asked, strict=True)).statistic), gaps


def main() -> None:
    """Print both orders of methods on both data sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.sets.split(","):
        begin = time.process_time()
        rho, gaps = compared(SETS[name], given.methods.split(","), given.seed)
        seconds = time.process_time() - begin
        print(f"{name}: rank correlation {rho:.2f} over {len(gaps) - 1} methods, {seconds:.0f} s of CPU")
        print(f"{'method':22} {'one model':>10} {'trained again':>14}")
        for method, (one, again) in sorted(gaps.items(), key=lambda pair: -pair[1][0]):
            print(f"{method:22} {one:10.3f} {again:14.3f}")


if __name__ == "__main__":
    main()
