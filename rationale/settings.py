"""The settings of a run: every choice that can change a number. Nothing here needs torch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from eraser import Fault, InputError
from eraser.errors import check_types
from eraser.types import Kind
from eraser.words import CUTTERS, WordCutter
from rationale.budgets import Budget, parse_budget

SHIPPED = Path(__file__).parent / "movies_model"  # AdapLeR trained on ERASER movies; see its README.md
Precision = Literal["float32", "bf16", "auto"]
LongTexts = Literal["window", "truncate"]
ErasureMode = Literal["delete", "mask"]  # how words are taken out of a text
Explain = Literal["logit", "probability", "margin"]
Unit = Literal["word", "sentence"]  # what a rationale is made of
SentenceScore = Literal["sum", "mean", "max"]  # of the scores of its words
T = TypeVar("T")


def setting(default: T, help: str, **more: Any) -> T:
    """Return a field that commands offer as an option: `help` is its help text, `parse` reads its value."""
    found: T = field(default=default, metadata={"help": help, **more})
    return found


def names_in(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list; spaces around them are no part of them.

    >>> names_in("random, position")
    ('random', 'position')
    """
    return tuple(name.strip() for name in text.split(","))


def named_twice(what: str, names: Sequence[str]) -> list[Fault]:
    """Return a fault where a name stands among others twice: its results would be one."""
    return [] if len(set(names)) == len(names) else [Fault(f"each {what} once", ", ".join(names))]


FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)
DEFAULT_METHODS = ("attention", "rollout", "gradient_x_input", "integrated_gradients", "random")
BASELINES = ("random", "position")  # methods that look at no model: a test that they pass is none
OPAQUE_METHODS = ("leave_one_out", "occlusion", "lime", "random")  # of a function of texts
DEFAULT_BUDGETS = ("ratio", "gold")
OF_EACH_TEXT = ("predicted", "gold")  # targets that may be another class for each text
OF_KIND: dict[Kind, tuple[str, ...]] = {  # those that are one answer for each text
    "class": OF_EACH_TEXT,
    "labels": ("predicted",),  # the most probable; annotators may have given several, or none
    "value": ("predicted",),
}
LABEL_PREFIX = "label:"  # before a target that is a label, which may then be called `gold`
THRESHOLD = 0.5  # from which probability on a label is said
DEVICE_HELP = "Device to run on, such as cpu or cuda:0; auto takes a GPU if there is one."
LONG_TEXTS_HELP = "Read a long text in several windows, or truncate it to the first."
MAX_LENGTH_HELP = (
    "Longest window in word pieces; by default as long as the model was trained with or can read."
)
PRECISION_HELP = "Numerical precision of the model."
CUTS_HELP = (
    "How texts are cut into words: at whitespace; punctuation also makes each comma a word of its own; "
    "characters also makes a word of each character of Chinese, Japanese, Thai and other scripts without "
    "spaces. Default: {}, or characters if most texts are in such a script."
)
WORDS_HELP = CUTS_HELP.format("whitespace")
ENCODING_HELP = "Encoding of the file; by default UTF-8, UTF-16 by its byte order mark, or Windows-1252."
SEPARATOR_HELP = (
    "What separates the fields of a CSV or TSV file: one character, or comma, semicolon, tab or pipe; "
    "by default detected."
)
SKIP_INVALID_HELP = "Leave out rows that are invalid, and say which and why."
EXPLAIN_QUERY_HELP = "Score the words of the query, too, which are then erased like those of the text."
ADDED: dict[str, Any] = {  # later than others
    "explain_query": False, "unit": "word", "sentence_score": "sum", "gim_temperature": 2.0,
}  # fmt: skip
CHOOSERS = ("survivors", "contribution")  # added for models that drop tokens, and the size they chose


@dataclass(frozen=True, kw_only=True)
class AttributionSettings:
    """What is explained, and how much work sampling methods do for one window.

    `explain`: the class's logit (a number itself), its probability, or its logit's lead over the best other.
    `ig_steps`: Gauss-Legendre nodes of integrated gradients, which converge fast. `replace`: how
    perturbation methods take words away.
    """

    explain: Explain = "logit"
    ig_steps: int = setting(20, "Integration steps of integrated gradients.")
    gradient_shap_samples: int = setting(20, "Samples per window of gradient SHAP.")
    gim_temperature: float = setting(2.0, "Temperature of attention's softmax in the backward pass of GIM.")
    lime_samples: int = setting(100, "Perturbed texts per window of LIME.")
    shap_samples: int = setting(500, "Coalitions per window of kernel SHAP.")
    occlusion_words: int = setting(3, "Width in words of the sliding window of occlusion.")
    replace: ErasureMode = setting("delete", "How words are removed from a text: deleted, or masked.")

    def __post_init__(self) -> None:
        check_types(self)

    def faults(self) -> list[Fault]:
        """Return what is wrong with the settings."""
        at_least = {
            "integrated gradients, steps": self.ig_steps,
            "gradient SHAP, samples": self.gradient_shap_samples,
            "LIME, samples": self.lime_samples,
            "kernel SHAP, samples": self.shap_samples,
            "occlusion, words": self.occlusion_words,
        }
        found = [Fault(f"at least 1 for {what}", str(n)) for what, n in at_least.items() if n < 1]
        if not 1 <= self.gim_temperature < math.inf:
            found.append(Fault("a temperature of at least 1 for GIM", str(self.gim_temperature)))
        if self.explain not in get_args(Explain):
            found.append(Fault(f"explain as one of {', '.join(get_args(Explain))}", repr(self.explain)))
        return found


@dataclass(frozen=True)
class EvaluateSettings(AttributionSettings):
    """The choices of one run; `budgets[0]` is the one written to the official prediction files.

    `dense` is the model that attention and gradient methods explain where `model` drops tokens. `limit`
    takes the first examples of the split, `sample` a random sample (uses `seed`). `chunk` examples
    are a part on disk, and the work that a worker takes at once. A multi-label model predicts the labels
    above `threshold`. `mask` replaces a word in texts that a function reads, if `replace` is mask.
    """

    dataset: str
    model: str
    split: str = setting("test", "Split to evaluate.")
    methods: tuple[str, ...] = DEFAULT_METHODS
    budgets: tuple[str, ...] = DEFAULT_BUDGETS
    target: str = setting(
        "predicted",
        "Class to explain: predicted (the most probable of several labels), gold, or a label "
        "(label:gold for a label called gold).",
    )
    limit: int | None = setting(None, "Evaluate only the first N examples of the split.")
    sample: int | None = setting(None, "Evaluate a random sample of N examples of the split (uses --seed).")
    long_texts: LongTexts = setting("window", LONG_TEXTS_HELP)
    max_length: int | None = setting(None, MAX_LENGTH_HELP)
    precision: Precision = setting("float32", PRECISION_HELP)
    device: str = setting("auto", DEVICE_HELP)
    seed: int = setting(0, "Random seed of sampling, baselines and perturbations.")
    dense: str | None = None
    fractions: tuple[float, ...] = FRACTIONS
    chunk: int = setting(64, "Examples per part file, the unit of work that is saved and resumed.")
    threshold: float = setting(
        THRESHOLD, "Multi-label models: labels with a probability above this are predicted."
    )
    mask: str | None = setting(None, "Text that replaces a removed word, for functions with --replace mask.")
    explain_query: bool = setting(False, EXPLAIN_QUERY_HELP)
    unit: Unit = setting(
        "word", "What rationales are made of, picked and removed: words, or whole sentences."
    )
    sentence_score: SentenceScore = setting("sum", "A sentence's score: the sum, mean or max of its words'.")

    def check(self, known_methods: tuple[str, ...], choosing: tuple[str, ...] = ()) -> None:
        """Refuse what cannot be carried out; `choosing` are the methods that select words themselves.

        Raises:
            InputError: all faults at once.
        """
        unknown = [m for m in self.methods if m not in known_methods]
        both = f"both: {self.limit} and {self.sample}"
        rules = [
            *((False, f"a method of {', '.join(known_methods)}", repr(m)) for m in unknown),
            (bool(self.methods and self.budgets), "at least one method and one budget", "none"),
            (self.limit is None or self.limit >= 1, "a limit of at least 1 example", str(self.limit)),
            (self.sample is None or self.sample >= 1, "a sample of at least 1 example", str(self.sample)),
            (None in (self.limit, self.sample), "a limit or a sample", both),
            (self.max_length is None or self.max_length >= 1, "a max_length above 0", str(self.max_length)),
            (self.seed >= 0, "a seed of at least 0", str(self.seed)),
            (self.chunk >= 1, "a chunk of at least 1 example", str(self.chunk)),
            (0 <= self.threshold < 1, "a threshold from 0 to below 1", str(self.threshold)),
            (self.unit in get_args(Unit), f"a unit of {', '.join(get_args(Unit))}", repr(self.unit)),
            (
                self.sentence_score in get_args(SentenceScore),
                f"a sentence_score of {', '.join(get_args(SentenceScore))}",
                repr(self.sentence_score),
            ),
            (
                self.unit == "sentence" or self.sentence_score == ADDED["sentence_score"],
                "a sentence_score with unit sentence only",
                f"{self.sentence_score} with unit {self.unit}",
            ),
        ]
        faults = [Fault(expected, got) for holds, expected, got in rules if not holds]
        faults += named_twice("method", self.methods) + self.faults()
        faults += [fault for name in self.budgets for fault in self._budget_faults(name, choosing)]
        if faults:
            raise InputError(*faults)

    def _budget_faults(self, name: str, choosing: tuple[str, ...]) -> tuple[Fault, ...]:
        try:
            budget = parse_budget(name)
        except InputError as error:
            return error.faults
        if budget.kind == "match" and budget.method not in set(choosing) & set(self.methods):
            expected = (
                f"a budget match=METHOD with a method of this run that chooses words ({', '.join(choosing)})"
            )
            return (Fault(expected, name),)
        if budget.kind == "own" and (ranking := [m for m in self.methods if m not in choosing]):
            expected = "for budget own only methods that choose words themselves (match=METHOD serves all)"
            return (Fault(expected, ", ".join(ranking)),)
        return ()

    def resolved_budgets(self, human_share: float) -> tuple[Budget, ...]:
        """Return the budgets with `ratio` filled in by the mean human share."""
        budgets = [parse_budget(b) for b in self.budgets]
        filled = [
            Budget("ratio", round(human_share, 4)) if b.kind == "ratio" and b.ratio is None else b
            for b in budgets
        ]
        return tuple(dict.fromkeys(filled))

    def target_label(self, labels: Sequence[str], kind: Kind = "class") -> str | None:
        """Return the label to explain; None for a target that may be another one for each text.

        Raises:
            InputError: the model has no such label.
        """
        return target_label(self.target, labels, OF_KIND[kind], kind)


@dataclass(frozen=True)
class StreamSettings(AttributionSettings):
    """How the texts of a file are explained: each for what the model predicts, or all for one label.

    `threshold` and `mask` are as in EvaluateSettings. `words` is what cuts the texts: by default
    white space, or, where most of the first texts have none, single characters. `encoding`, `separator` and
    `skip_invalid` say how the file is read.
    """

    file: str
    model: str
    methods: tuple[str, ...]
    dense: str | None = None
    text: str = setting("text", "Key or column of the text.")
    query: str | None = setting(None, "Key or column of the question, if there is one.")
    words: WordCutter | None = setting(None, WORDS_HELP)
    long_texts: LongTexts = setting("window", LONG_TEXTS_HELP)
    max_length: int | None = setting(None, MAX_LENGTH_HELP)
    precision: Precision = setting("float32", PRECISION_HELP)
    device: str = setting("auto", DEVICE_HELP)
    seed: int = setting(0, "Random seed of baselines and perturbations.")
    chunk: int = setting(256, "Lines per part file, the unit of work that is saved and resumed.")
    target: str = setting(
        "predicted", "Class to explain: predicted (the most probable of several labels), or a label."
    )
    threshold: float = setting(
        THRESHOLD, "Multi-label models: labels with a probability above this are predicted."
    )
    mask: str | None = setting(None, "Text that replaces a removed word, for functions with --replace mask.")
    encoding: str | None = setting(None, ENCODING_HELP)
    separator: str | None = setting(None, SEPARATOR_HELP)
    skip_invalid: bool = setting(False, SKIP_INVALID_HELP)
    explain_query: bool = setting(False, EXPLAIN_QUERY_HELP)

    def target_label(self, labels: Sequence[str], kind: Kind) -> str | None:
        """Return the label to explain; None where each text has its own.

        Raises:
            InputError: the model has no such label.
        """
        return target_label(self.target, labels, ("predicted",), kind)

    def check(self, known_methods: tuple[str, ...]) -> None:
        """Refuse what cannot be carried out, all at once."""
        known = f"a method of {', '.join(known_methods)}"
        faults = [Fault(known, repr(method)) for method in self.methods if method not in known_methods]
        if not 0 <= self.threshold < 1:
            faults.append(Fault("a threshold from 0 to below 1", str(self.threshold)))
        faults += named_twice("method", self.methods)
        if not self.methods:
            faults.append(Fault("at least one method", "none"))
        if self.words not in (None, *CUTTERS):
            faults.append(Fault(f"words cut by {', '.join(CUTTERS)}", repr(self.words)))
        if self.seed < 0:
            faults.append(Fault("a seed of at least 0", str(self.seed)))
        if self.chunk < 1:
            faults.append(Fault("a chunk of at least 1 text", str(self.chunk)))
        if self.explain_query and self.query is None:
            faults.append(Fault.of("explain_query needs the key or column of the query (--query)"))
        if faults := faults + self.faults():
            raise InputError(*faults)


def target_label(target: str, labels: Sequence[str], of_each: Sequence[str], kind: Kind) -> str | None:
    """Return the label that a target names; None for one of `of_each` text, where it may be another.

    Raises:
        InputError: the model has no such label, or its answers allow no such target.
    """
    if target in of_each:
        return None
    for name in (target.removeprefix(LABEL_PREFIX), target):
        if name in labels:
            return name
    what = {"class": "", "labels": ", of a multi-label model", "value": ", of a model that gives a number"}
    targets = ", ".join(targets_of(labels, *of_each))
    raise InputError(Fault(f"a target of {targets}{what[kind]}", repr(target)))


def targets_of(labels: Sequence[str], *of_each: str) -> dict[str, str]:
    """Return the classes that can be explained by name: those of `of_each` text, then the model's labels.

    >>> targets_of(["NEG", "gold"], "predicted")
    {'predicted': 'predicted', 'NEG': 'NEG', 'label:gold': 'gold'}
    """
    return {t: t for t in of_each} | {LABEL_PREFIX + x if x in OF_EACH_TEXT else x: x for x in labels}


def defaults(drops_tokens: bool, opaque: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the methods and budgets of a run that names none."""
    if opaque:
        return OPAQUE_METHODS, DEFAULT_BUDGETS
    if drops_tokens:
        return (*CHOOSERS, *DEFAULT_METHODS), (*DEFAULT_BUDGETS, "match=survivors")
    return DEFAULT_METHODS, DEFAULT_BUDGETS


def digest(*values: Any) -> str:
    """Return a short content hash of JSON-able values."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def as_record(settings: EvaluateSettings) -> dict[str, Any]:
    """Return the settings as JSON holds them; those of ADDED only if they differ from their default."""
    record: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return without_usual(record)


def without_usual(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without those of ADDED that have their default value."""
    return {name: value for name, value in record.items() if name not in ADDED or value != ADDED[name]}
