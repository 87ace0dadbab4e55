"""Wrong predictions of a whole data set, and the words that decide most often in them.

Axes: W word of an example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rationale_viewer.compute.agreement import ScoredExample

LONGEST = 60  # characters of a word in the table


def surest_first(judged: Sequence[ScoredExample]) -> list[ScoredExample]:
    """Return the wrong predictions, those that the model is surest of first."""
    return sorted((j for j in judged if j.wrong), key=lambda j: -max(j.probs.values()))


def deciding(one: ScoredExample, words: Sequence[str]) -> str | None:
    """Return the word [W] with the highest score, in lower case; None where no word speaks for the answer."""
    known = np.nan_to_num(np.asarray(one.scores, dtype=np.float64), nan=-np.inf)
    if not len(known) or not known.max() > 0:
        return None
    return words[int(known.argmax())].casefold()[:LONGEST]


def deciding_words(judged: Sequence[ScoredExample], words: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return how often each word decides: columns word, wrong, of_wrong (share), right, of_right.

    Words that decide no wrong prediction are left out; the most frequent in errors first. `right` tells a
    spurious word (rarely right) from a frequent one.
    """
    counts = {
        kind: Counter(deciding(j, words[j.id]) for j in judged if j.right is right)
        for kind, right in (("wrong", False), ("right", True))
    }
    totals = {kind: max(1, sum(counter.values())) for kind, counter in counts.items()}
    rows = [
        (word, n, n / totals["wrong"], counts["right"][word], counts["right"][word] / totals["right"])
        for word, n in counts["wrong"].most_common()
        if word is not None
    ]
    return pd.DataFrame(rows, columns=["word", "wrong", "of_wrong", "right", "of_right"])
