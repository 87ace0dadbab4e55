"""The content of examples: what a run may read of two data sets is the same, or their hashes differ."""

from __future__ import annotations

from dataclasses import replace

from eraser import Dataset, Document, Example
from eraser.files.content import content_of_examples

WORDS = (("A", "dull", "film", "."), ("Do", "not", "go", "."))
LINES = "A dull film .\nDo not go ."


def content(*documents, label="NEG"):
    """Return the hash of one example of these documents."""
    example = Example("a", tuple(d.id for d in documents), label)
    return content_of_examples(Dataset("d", {d.id: d for d in documents}, {"test": [example]}), [example])


def test_a_text_with_other_white_space_or_sentences_is_another():
    one = Document("a", WORDS, LINES)
    found = {
        content(one),
        content(Document("a", WORDS, LINES.replace("\n", " "))),  # a model may read white space
        content(Document("a", (WORDS[0] + WORDS[1],), LINES)),  # methods may score sentences
        content(Document("a", WORDS)),
    }
    assert len(found) == 4
    assert content(replace(one)) == content(one)


def test_either_text_of_a_pair_counts():
    pair = [
        Document("a_premise", WORDS[:1], "A dull film ."),
        Document("a_hypothesis", WORDS[1:], "Do not go ."),
    ]
    found = {content(*pair)}
    found |= {content(*(replace(d, string=f"{d.string} ") if d is one else d for d in pair)) for one in pair}
    assert len(found) == 3


def test_of_given_words_the_hash_is_what_it_was():
    """Results on disk say by it what they were made of."""
    assert content(Document("a", WORDS)).startswith("2b0a92ecd40d466e")
