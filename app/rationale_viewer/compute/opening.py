"""What the page opens on: a text that the model gets right; short ones show what it can and cannot do."""

from __future__ import annotations

from dataclasses import dataclass

from eraser import Dataset, Example, Text
from eraser.words import cut_words
from rationale.heads import predicted_label
from rationale.inference.predict import text_probs
from rationale_viewer.compute.explain import text_of
from rationale_viewer.session.state import AS_TRAINED, LoadedModel

TRIED = 8  # examples read in search of one that the model gets right
FRACTION = 10  # a text of fewer than a tenth of the usual words is short
SHIPPED_WORDS = 773  # on average, in the training texts of the shipped model: docs/results/data-movies.csv
TITLE_WORDS = 5


@dataclass(frozen=True)
class Chip:
    """A text to try: what its button says, the label a reader gives it (None: either), the text."""

    name: str
    label: str | None
    text: str


MEANS = {"POS": " (a film to see)", "NEG": " (a film to miss)"}
CHIPS = (
    Chip(
        "a rave",
        "POS",
        "Two Suitcases to Palermo is a small film about a lost letter, and it is a joy from the first scene. "
        "The cast is warm and funny, the songs stay with you, and the race through the fish market is the "
        "most thrilling ten minutes I have seen all year. My father, who sleeps through everything, sat up "
        "and clapped. I laughed, I cried a little, and I came out hungry. Go and see it with someone you "
        "love, and stay for the credits.",
    ),
    Chip(
        "a pan",
        "NEG",
        "The poster promises thrills and the film delivers naps. The plot is a tired copy of better films, "
        "the jokes are stale, and the hero has the charm of a wet sock. Two hours crawl by like four. At one "
        "point somebody explains the story to a horse, and the horse walks away. By the end I was watching "
        "the exit sign, which was better lit and had more to say. A dull, lifeless waste of money.",
    ),
    Chip(
        "a negation that fools it",
        "NEG",
        "I would not call this a great film. It is not funny, it is not moving, and nobody could say that "
        "the cast is brilliant. The story is never exciting, the music is never beautiful, and not one scene "
        "is a joy to watch. I had hoped for the charm of the director's first comedies, and there is none "
        "of it here. If you want a wonderful evening, look elsewhere: a masterpiece it is not.",
    ),
    Chip(
        "mixed",
        None,
        "The first hour is a delight: quick, funny and beautifully shot. Then the story loses its way. The "
        "villain never makes sense, the ending is clumsy, and a strong cast is left with nothing to do. "
        "Still, there are two scenes that I would gladly watch again, and the music is lovely. My friends "
        "argued about it all the way home, half of them charmed and half of them bored. So was I.",
    ),
)


def chips_for(held: LoadedModel) -> tuple[Chip, ...]:
    """Return the texts to try; none for a model of other labels than film reviews have."""
    return CHIPS if set(held.classifier.labels) == {"NEG", "POS"} else ()


def usual_words(dataset: Dataset, shipped: bool) -> tuple[int, str]:
    """Return how many words the model's texts have on average, and whose texts those are."""
    if shipped:
        return SHIPPED_WORDS, "the reviews this model was trained on"
    examples = dataset.splits.get("train") or next(filter(None, dataset.splits.values()), ())
    counts = [len(dataset.text(e).words) for e in examples[:100]]
    return round(sum(counts) / max(1, len(counts))), f"the texts of {dataset.name}"


def short_note(n: int, dataset: Dataset, shipped: bool) -> str | None:
    """Return a line where a text is much shorter than those that the model knows."""
    usual, whose = usual_words(dataset, shipped)
    if n * FRACTION >= usual:
        return None
    words = f"{n} word{'s' * (n != 1)}"
    return f"Short: {words}; {whose} have {usual} on average. What it says of so short a text is a guess."


def title_of(words: tuple[str, ...]) -> str:
    """Return how a text begins.

    >>> title_of(("Old", "Oars", ",", "New", "Water", "is", "good"))
    'Old Oars, New Water…'
    """
    begin = " ".join(words[:TITLE_WORDS])
    for sign in ",.;:!?":
        begin = begin.replace(f" {sign}", sign)
    return begin + ("…" if len(words) > TITLE_WORDS else "")


def titled(dataset: Dataset, examples: list[Example]) -> dict[str, str]:
    """Return each example's label and beginning by its id; the id too where two begin alike."""
    titles = {e.id: f"{e.label} · {title_of(dataset.text(e).unpaired().words)}" for e in examples}
    seen: dict[str, int] = {}
    for title in titles.values():
        seen[title] = seen.get(title, 0) + 1
    return {id: f"{title} · {id}" if seen[title] > 1 else title for id, title in titles.items()}


def first_right(held: LoadedModel, dataset: Dataset, ids: tuple[str, ...]) -> tuple[str, str] | None:
    """Return ("chip", its name) or ("example", its id): the first that the model gets right.

    The first example where it gets none of the first few right; None where there is none at all.
    """
    chips = [c for c in chips_for(held)[:1] if _says(held, text_of(_cut(c.text), string=c.text)) == c.label]
    if chips:
        return "chip", chips[0].name
    there = set(ids)
    splits = sorted(dataset.splits, key=lambda name: name != "test")
    examples = [e for split in splits for e in dataset.splits[split] if e.id in there][:TRIED]
    right = (e for e in examples if _says(held, dataset.text(e)) == e.label)
    first = next(right, examples[0] if examples else None)
    return None if first is None else ("example", first.id)


def _says(held: LoadedModel, text: Text) -> str:
    """Return the label that a model gives a text."""
    windows = held.classifier.encoder.encode([text])
    with held.at_dial(AS_TRAINED) as classifier:
        return predicted_label(classifier.head, classifier.labels, text_probs(classifier, windows)[0])


def _cut(text: str) -> list[str]:
    return [text[a:b] for a, b in cut_words(text, "punctuation")]
