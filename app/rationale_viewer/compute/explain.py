"""What the viewer computes for one text; nothing here draws.

What the model says, with what each layer kept, is one answer, a method's scores another, measured times a
third: a page shows each as soon as it is there, and another layer is only drawing. Axes: W word, L layer;
counts by layer begin with what is there before the first [L+1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from eraser import Fault, InputError, Text
from eraser.types import Floats, Kind, Mask
from eraser.words import gaps, placed
from rationale.attribution import METHODS, AttributionInput, attribute, fitting, usual
from rationale.heads import HEADS, predicted_label
from rationale.hf.classifier import Classifier, without_removal
from rationale.inference.ablate import Erasure, ablate
from rationale.inference.capabilities import drops_tokens, has_rationale_head
from rationale.inference.predict import batches, of_texts, text_probs
from rationale.models.adaptive import unwrap
from rationale.models.flops import costs, full_costs, kept_lengths
from rationale.models.packed.encoder import Output, keep_all, run_packed
from rationale.models.packed.layers import depth_of, layers_of
from rationale.pass_cache import PassCache
from rationale.settings import OF_EACH_TEXT, ErasureMode
from rationale.text.encode import Batch
from rationale.text.windows import OUTSIDE, Ints, Window, words_between
from rationale.text_classifier import TextClassifier
from rationale_viewer.compute.exported import exported, quick_reading
from rationale_viewer.session.state import AS_TRAINED, LoadedModel

MAX_WORDS = 12_000  # of a text that is explained while someone waits
ROUNDS, ROUNDS_UP_TO = 4, 512  # a text of no more pieces is timed so often, the fastest shown
SLOW = frozenset({
    *("integrated_gradients", "gradient_shap", "deeplift"),
    *("leave_one_out", "occlusion", "lime", "kernel_shap"),
})  # fmt: skip
PREDICTED, GOLD = OF_EACH_TEXT


class Given(NamedTuple):
    """A text as it is given: its words, a query that goes before it, the words that begin its sentences.

    `string` is the text itself, where it is not just its words between spaces.
    """

    words: tuple[str, ...]
    query: str | None = None
    starts: tuple[int, ...] = (0,)
    string: str | None = None

    @property
    def after(self) -> list[str] | None:
        """What stands after each word; None: a space."""
        return None if self.string is None else gaps(*placed(self.string, self.words))


@dataclass(frozen=True)
class Layers:
    """What each layer of an adaptive model worked on, beside the same text with nothing removed.

    `kept` [L+1,W] are the words with a piece there, `tokens` [L+1] their pieces and special tokens. `flops`
    and `dense_flops` [L+1] are FLOPs up to and with each layer.
    """

    kept: Mask
    tokens: tuple[int, ...]
    flops: Floats
    dense_flops: Floats


@dataclass(frozen=True)
class Times:
    """Measured seconds up to and with each layer [L+1], with removal and with nothing removed."""

    seconds: Floats
    dense_seconds: Floats


@dataclass(frozen=True)
class ModelReading:
    """One text as a model reads it at one dial; `layers` is None for models without removal.

    `label` is what it says, of several labels all; `top` the one answer that is explained unasked.
    `survived` are the scores of `survivors` [W], where they came with the answer.
    """

    words: tuple[str, ...]
    pieces: tuple[tuple[str, ...], ...]
    probs: Mapping[str, float]
    label: str
    windows: tuple[Window, ...]
    layers: Layers | None
    top: str
    kind: Kind
    survived: Floats | None = None


@dataclass(frozen=True)
class Scored:
    """A method's score for each word [W], the words it chose itself, and what it cost."""

    scores: Floats
    selected: Mask | None
    signed: bool
    milliseconds: float


def methods_of(held: LoadedModel) -> tuple[str, ...]:
    """Return the methods that fit a model, its own first, those that take seconds last."""
    return suited(held)[0]


def suited(held: LoadedModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the methods that fit a model, in order, and a line for each that does not."""
    own = [m for m in METHODS if METHODS[m].adaptive and drops_tokens(held.classifier)]
    taught = has_rationale_head(held.classifier)
    of_any = (m for m, method in METHODS.items() if not method.adaptive and (taught or not method.taught))
    others = sorted(of_any, key=SLOW.__contains__)
    with held.at_dial(AS_TRAINED) as classifier:
        return fitting(classifier, (*own, *others))


def text_of(
    words: Sequence[str],
    query: str | None = None,
    starts: Sequence[int] = (0,),
    string: str | None = None,
) -> Text:
    """Return words as a text to be encoded.

    Raises:
        InputError: there are none, or too many to wait for.
    """
    if not words:
        raise InputError(Fault.of("the text has no words"))
    if len(words) > MAX_WORDS:
        raise InputError(Fault.of(f"the text has {len(words)} words; at most {MAX_WORDS} can be shown"))
    return Text("text", tuple(words), {"text": 0}, tuple(starts), query, string)


def read(held: LoadedModel, text: Text, dial: float) -> ModelReading:
    """Return what a model says of a text at a dial, and how it came to it."""
    (windows,) = held.classifier.encoder.encode([text])
    n, quick = len(text.words), exported(held) if dial == AS_TRAINED else None
    survived = None
    if quick is not None:
        found = quick_reading(quick, windows, n)
        logits, survived = found.logits, found.survived
        layers: Layers | None = _counted(held.classifier.model, windows, found.kept, found.tokens)
        probs = _answers(held.classifier, logits, windows)
    else:
        with held.at_dial(dial) as classifier:
            if held.adaptive and isinstance(classifier, Classifier):
                logits, layers = _layers(classifier, windows, n)
                probs = _answers(classifier, logits, windows)
            else:
                probs, layers = text_probs(classifier, [windows])[0], None
    labels, head = held.classifier.labels, held.classifier.head
    by_label = dict(zip(labels, map(float, probs), strict=True))
    pieces = _pieces(held.classifier, windows, n)
    label, top = predicted_label(head, labels, probs), labels[int(probs.argmax())]
    return ModelReading(text.words, pieces, by_label, label, windows, layers, top, HEADS[head].kind, survived)


def _answers(classifier: TextClassifier, logits: Floats, windows: Sequence[Window]) -> Floats:
    """Return the answers to a text [C], of the logits of its windows [window,C]."""
    answers: Floats = of_texts(HEADS[classifier.head].answers(logits), [windows])[0]
    return answers


def reached(layers: Layers) -> int:
    """Return the last layer that worked on the text: one that stops early reaches fewer than there are."""
    return max((k for k, n in enumerate(layers.tokens) if n), default=0)


def score(
    held: LoadedModel, reading: ModelReading, methods: Sequence[str], dial: float, label: str
) -> dict[str, Scored]:
    """Return each method's scores of a text for a label; those that came with the answer are not asked again.

    Methods that can share passes do.
    """
    if reading.survived is not None and dial == AS_TRAINED and "survivors" in methods:
        assert reading.layers is not None  # a model that drops words has some
        chosen = reading.survived >= len(reading.layers.tokens) - 1  # NaN, an unread word, is not chosen
        own = {"survivors": Scored(reading.survived, chosen, False, 0.0)}
        return own | score_anew(held, reading, [m for m in methods if m != "survivors"], dial, label)
    return score_anew(held, reading, methods, dial, label)


def score_anew(
    held: LoadedModel, reading: ModelReading, methods: Sequence[str], dial: float, label: str
) -> dict[str, Scored]:
    """Return each method's scores of a text for a label, all computed by the model itself."""
    if not methods:
        return {}
    case = AttributionInput(reading.windows, len(reading.words), held.classifier.labels.index(label))
    found = {}
    with held.turn(dial) as (classifier, turn):
        turn.passes = PassCache(), PassCache(logits={})
        adaptive = replace(classifier, passes=turn.passes[0])
        dense = replace(without_removal(classifier), passes=turn.passes[1])
        for name in methods:
            of_method = adaptive if METHODS[name].adaptive else dense
            (a,) = attribute(of_method, name, [case], usual(of_method))
            found[name] = Scored(a.scores, a.selected, METHODS[name].signed, a.milliseconds)
    return found


def after_removal(
    held: LoadedModel, reading: ModelReading, out: Sequence[int], how: ErasureMode, dial: float
) -> dict[str, float]:
    """Return the answers to a text with words deleted or masked."""
    removed = np.zeros(len(reading.words), dtype=bool)
    removed[list(out)] = True
    with held.at_dial(dial) as classifier:
        probs = ablate(classifier, [Erasure(reading.windows, removed)], how)[0]
    return dict(zip(held.classifier.labels, map(float, probs), strict=True))


def _pieces(
    classifier: TextClassifier, windows: Sequence[Window], n_words: int
) -> tuple[tuple[str, ...], ...]:
    found: list[list[str]] = [[] for _ in range(n_words)]
    for window in windows:
        pieces = zip(window.word.tolist(), window.end.tolist(), classifier.encoder.names(window), strict=True)
        for word, end, name in pieces:
            for one in range(word, end) if word != OUTSIDE else ():
                found[one].append(name)
    return tuple(map(tuple, found))


@torch.inference_mode()
def _layers(classifier: Classifier, windows: Sequence[Window], n_words: int) -> tuple[Floats, Layers]:
    """Return the logits of the windows [window,C], and what the layers kept and cost."""
    depth = depth_of(unwrap(classifier.model))
    kept = np.zeros((depth + 1, n_words), dtype=bool)
    tokens = np.tile([len(w) for w in windows], (depth + 1, 1))
    logits: list[Floats] = [np.empty(0)] * len(windows)
    for rows, batch in batches(classifier, windows):
        with classifier.autocast():
            output = _removing(classifier, batch)
        tokens[1:, rows] = kept_lengths(output)
        _mark_kept(kept, batch, output)
        for row, of_window in zip(rows, output.logits.double().cpu().numpy(), strict=True):
            logits[row] = of_window
    return np.stack(logits), _counted(classifier.model, windows, kept, tokens)


def _counted(model: Any, windows: Sequence[Window], kept: Mask, tokens: Ints) -> Layers:
    """Return the layers with their operations, of words kept [L+1,W] and tokens [L+1,window]."""
    flops, dense_flops = _operations(model, np.array([len(w) for w in windows]), tokens)
    return Layers(kept, tuple(int(n) for n in tokens.sum(1)), flops, dense_flops)


@torch.inference_mode()
def times_of(held: LoadedModel, reading: ModelReading, dial: float) -> Times:
    """Measure the layers, with removal and without."""
    pieces = sum(map(len, reading.windows))
    rounds = ROUNDS if pieces <= ROUNDS_UP_TO else 1
    with held.turn(dial) as (classifier, turn):
        assert isinstance(classifier, Classifier)  # a function has no layers to measure
        layers = list(layers_of(unwrap(classifier.model)))
        found = np.zeros((2, len(layers) + 1))
        for _, batch in batches(classifier, reading.windows):
            runs = partial(_removing, classifier, batch), partial(_dense, classifier, batch)
            with classifier.autocast():  # in turns: whoever else is at work slows both
                laps = [[_laps(layers, run, turn.clock) for run in runs] for _ in range(rounds)]
            fastest = np.diff(np.array(laps)).min(axis=0)  # others only add
            found[:, 1:] += fastest.cumsum(axis=1)
    return Times(*found)


def _operations(model: Any, lengths: Ints, tokens: Ints) -> tuple[Floats, Floats]:
    """Return operations up to and with each layer [L+1], of the model and of the dense one, heads aside."""
    cost, full = costs(model), full_costs(model)
    depth, heads = len(tokens), cost.head * len(lengths)
    ours = [cost.shrinking(lengths, tokens[1 : k + 1]).sum() - heads for k in range(depth)]
    layer = float(full.layer(0, lengths).sum())
    dense = [full.embedding * lengths.sum() + k * layer for k in range(depth)]
    return np.array(ours), np.array(dense)


def _removing(classifier: Classifier, batch: Batch) -> Output:
    output: Output = classifier.model(input_ids=batch.ids, **classifier.inputs(batch))
    return output


def _dense(classifier: Classifier, batch: Batch) -> Output:
    return run_packed(unwrap(classifier.model), batch.ids, batch.types, batch.real, keep_all)


def _mark_kept(kept: Mask, batch: Batch, output: Output) -> None:
    """Set the words [L+1,W] of which a layer, or the text itself, has a piece."""
    words, ends = batch.word.cpu().numpy(), batch.end.cpu().numpy()
    stays = [batch.real.cpu().numpy(), *(layer.kept.cpu().numpy() for layer in output.trace)]
    for layer, mask in enumerate(stays):
        there = mask & (words != OUTSIDE)
        kept[layer] |= words_between(words[there], ends[there], kept.shape[1])


def _laps(layers: Sequence[Any], run: Callable[[], Output], clock: Callable[[], float]) -> list[float]:
    """Return when a run began, and when each layer was done [L+1]; one that is not reached takes no time."""
    laps = [clock()]

    def lap(*_: object) -> None:
        laps.append(clock())

    handles = [layer.register_forward_hook(lap) for layer in layers]
    try:
        laps[0] = clock()
        run()
    finally:
        for handle in handles:
            handle.remove()
    return laps + [laps[-1]] * (len(layers) + 1 - len(laps))
